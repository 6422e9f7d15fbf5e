"""The command for monitoring systems: its options, its formats, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import check_health as command
from choria_broker.cli import main
from choria_broker.control.client import ControlError, NotRunningError, SilentError, StandsStillError
from choria_broker.status.document import EngineReport, HealthReport, Status
from support import statuses
from support.nats_server import Operator

STATUS = msgspec.structs.replace(
    statuses.STATUS,
    health=HealthReport("degraded", "", ("one thing | another",)),
    engine=EngineReport(2, 3600.0, True),
)
KINDS = {
    "broker": (),
    "connection": (),
    "server": ("--name", "b1"),
    "meta": ("--expect", "3", "--lag-critical", "10", "--seen-critical", "1s"),
    "jetstream": (),
    "stream": ("--stream", "CHORIA_EVENTS"),
    "kv": ("--bucket", "CHORIA_LEADER_ELECTION"),
    "credential": (),
}


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ask_status", lambda _config: STATUS)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check-health", *arguments])


@pytest.mark.usefixtures("running")
def test_a_line_for_nagios_and_its_exit_status() -> None:
    result = run("broker", "--config", "x")
    assert result.output == "WARNING b1 Warn:one thing / another | uptime=3600.0000s pending_restart=0 left_out=0\n"
    assert result.exit_code == 1
    assert run("server", "--config", "x", "--name", "b2").exit_code == 2
    assert run("server", "--config", "x", "--name", "b1").exit_code == 0
    assert run("meta", "--config", "x").exit_code == 3


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("short", ["conn", "raft", "js"])
def test_short_names_of_kinds(short: str) -> None:
    assert run(short, "--config", "x").output.startswith(("OK", "UNKNOWN", "CRITICAL JetStream"))


@pytest.mark.usefixtures("running")
def test_the_other_formats() -> None:
    for given in (("--json",), ("--format", "json")):
        result = run("broker", "--config", "x", *given)
        assert json.loads(result.output)["status"] == "WARNING"
        assert result.exit_code == 1
    result = run("broker", "--config", "x", "--format", "prometheus", "--namespace", "mine")
    assert result.output.splitlines()[-1] == 'mine_broker_status_code{item="b1",status="WARNING"} 1'
    assert result.exit_code == 0
    assert "STATUS   MESSAGE" in run("broker", "--config", "x", "--format", "text").output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("error", "level", "status"),
    [
        (NotRunningError, "CRITICAL", 2),
        (StandsStillError, "CRITICAL", 2),
        (SilentError, "CRITICAL", 2),
        (ControlError, "UNKNOWN", 3),
    ],
)
def test_a_broker_that_cannot_be_asked(
    monkeypatch: pytest.MonkeyPatch, kind: str, error: type[ControlError], level: str, status: int
) -> None:
    def ask(_config: Path) -> Status:
        raise error("the reason")

    monkeypatch.setattr(command, "ask_status", ask)
    result = run(kind, "--config", "x", *KINDS[kind])
    assert result.output.startswith(f"{level} ")
    assert "the reason" in result.output
    assert result.exit_code == status


@pytest.mark.parametrize(
    "arguments",
    [
        ("connection",),
        ("connection", "--config", "x", "--connect-warn", "soon"),
        ("stream", "--config", "x"),
        ("credential",),
        ("credential", "--config", "x", "--credential", "y"),
        ("nothing",),
        ("broker", "--config", "x", "--format", "xml"),
    ],
)
def test_a_misused_command_is_no_alarm(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 3
    assert "Error: " in result.output


def test_a_file_that_is_no_credentials_file(tmp_path: Path) -> None:
    file = tmp_path / "user.creds"
    assert run("credential", "--credential", str(file)).exit_code == 2
    file.write_text("a secret")
    result = run("credential", "--credential", str(file))
    assert result.exit_code == 2
    assert "not a NATS credentials file" in result.output
    assert "a secret" not in result.output


def test_a_credentials_file(tmp_path: Path) -> None:
    file = Operator("OPS").user("OPS").credentials(tmp_path / "user.creds")
    result = run("credential", "--credential", str(file))
    assert (result.exit_code, "never expires" in result.output) == (2, True)
    assert run("credential", "--credential", str(file), "--no-require-expiry").exit_code == 0


@pytest.mark.usefixtures("running")
def test_a_broker_without_certificates() -> None:
    assert run("credential", "--config", "x").exit_code == 3
