"""What operators of go-choria and NATS type is answered with the command that does it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from choria_broker.cli import COMMANDS, main
from choria_broker.cli.habits import hint_for


@pytest.mark.parametrize(
    ("typed", "ours", "theirs"),
    [
        ("broker server list", "choria-broker status", "nats --context choria-system server list"),
        (
            "b server check connection",
            "choria-broker check-health",
            "nats --context choria-system server check connection",
        ),
        ("server report connections", "choria-broker connections", "context choria-system server report connections"),
        ("broker stream report", "choria-broker streams", "nats --context choria stream report"),
        ("broker account info", "choria-broker status", "nats --context choria account info"),
        ("server request kick 7", "choria-broker kick", "context choria-system server request kick 7"),
        ("server config reload", "choria-broker reload", "context choria-system server config reload"),
        ("broker stream purge X", "choria-broker streams purge", "nats --context choria stream purge X"),
        ("b stream subjects X", "choria-broker streams contents", "nats --context choria stream subjects X"),
        ("broker publish a b", "", "nats --context choria publish a"),
        ("kv ls", "", "nats --context choria kv ls"),
    ],
)
def test_the_command_that_does_it(typed: str, ours: str, theirs: str) -> None:
    result = CliRunner().invoke(main, typed.split())
    assert result.exit_code == 2
    told = " ".join(result.output.split())
    assert theirs in told
    assert (f"this program has {ours}" in told) if ours else ("this program has" not in told)


def test_each_command_that_is_named_is_there() -> None:
    for typed in ("server check", "server", "server report connections", "stream", "account"):
        named = hint_for(typed.split()).partition("choria-broker ")[2].split()[0].rstrip(";")
        assert named in COMMANDS


def test_what_has_the_same_name_here_is_run() -> None:
    for name in ("top", "events"):
        assert "Missing option '--config'" in CliRunner().invoke(main, ["broker", name]).output


def test_what_nobody_has_is_an_unknown_command() -> None:
    assert hint_for(["serverless"]) == ""
    assert "No such command 'serverless'" in CliRunner().invoke(main, ["serverless"]).output
