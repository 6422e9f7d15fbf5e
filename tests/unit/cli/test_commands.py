from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from choria_broker.cli import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_each_module_of_the_command_line_has_its_command(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_commands_are_shown_in_the_order_in_which_they_are_met() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2]
    names = [line.split()[0] for line in shown.splitlines() if line[2:3].strip()]
    assert names == list(COMMANDS)
    assert names[:4] == ["run", "check", "explain", "status"]


def test_modules_that_commands_share_are_none() -> None:
    assert main.get_command(click.Context(main), "options") is None
