"""What the demonstration prints."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from choria_broker.cli import main
from choria_broker.demo.guide import guide
from choria_broker.demo.network import Demo

DEMO = Demo(Path("/made"))


@pytest.mark.parametrize("fleet", [True, False])
def test_the_address_of_the_dashboard_comes_first(fleet: bool) -> None:
    lines = guide(DEMO, port=4222, stats_port=8222, fleet=fleet).strip().splitlines()
    assert lines[0] == "The dashboard: http://127.0.0.1:8222/ui/"
    assert any("up=mallory" in line for line in lines) is fleet


def test_the_commands_that_are_shown_exist() -> None:
    shown = [line.split() for line in guide(DEMO, port=4222, stats_port=8222).splitlines() if "choria-broker " in line]
    assert {words[1] for words in shown} == {"status", "connections", "find", "explain", "streams", "check"}
    for words in shown:
        with click.Context(main) as context:
            found = main.get_command(context, words[1])
            assert found is not None
            found.make_parser(click.Context(found)).parse_args(shlex.split(" ".join(words[2:])))
