from __future__ import annotations

import subprocess
import sys

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


def test_who_only_asks_a_running_broker_loads_no_broker() -> None:
    """These commands are run by hand and by monitoring systems, often: they start quickly."""
    asking = (
        "certificates",
        "check_health",
        "connections",
        "drain",
        "events",
        "find",
        "kick",
        "provisioning",
        "reload",
        "status",
        "streams",
        "top",
        "upgrade",
    )
    heavy = ("aiohttp", "asyncio", "cryptography", "dns", "nats")
    imports = ", ".join(f"choria_broker.cli.{name}" for name in asking)
    code = f"import sys, {imports}; print(*(name for name in {heavy} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    assert found.stdout.split() == []
