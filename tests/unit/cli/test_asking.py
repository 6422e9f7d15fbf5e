"""What a command says when it gets no answer: a broker that is down, of another version, or of another user."""

from __future__ import annotations

import contextlib
import os
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import main
from choria_broker.control.socket_path import SOCKET, directory_name

ASKING: dict[str, tuple[str, ...]] = {
    "bundle": ("--output", "OUTPUT"),
    "certificates": (),
    "check-health broker": (),
    "check-health connection": (),
    "check-health server": (),
    "check-health meta": (),
    "check-health jetstream": (),
    "check-health stream": ("--stream", "CHORIA_EVENTS"),
    "check-health kv": ("--bucket", "CHORIA_LEADER_ELECTION"),
    "check-health credential": (),
    "connections": (),
    "drain": ("--over", "0s"),
    "events": ("--no-follow",),
    "explain": ("--connection", "7"),
    "find": ("web1",),
    "kick": ("--identity", "web1"),
    "provisioning": (),
    "reload": (),
    "revoke": ("--identity", "web1"),
    "status": (),
    "streams": (),
    "streams contents": (),
    "streams purge": ("CHORIA_EVENTS", "--yes"),
    "top": ("--once", "--interval", "0.5"),
    "upgrade": (),
}
"""Commands that ask a running broker, with what they need beside ``--config``."""

NOT_ASKING = {
    "run",
    "check",
    "settings",
    "init",
    "capacity",
    "demo",
    "completion",
    "context",  # Asks for a port only where that is any free one.
}

CRITICAL, UNKNOWN = 2, 3
DOWN = "no broker runs with"
RIGHTS = "this user may not ask the broker on"
VERSION = "the running broker does not know this request; it has another version than this command"
UNREADABLE = "the broker may have another version than this command"


def leaves(command: click.Command, name: str = "") -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        if command.invoke_without_command:
            yield name
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from leaves(found, f"{name} {child}".strip())
    else:
        yield name


def test_every_command_is_known_here() -> None:
    found = {name for name in leaves(main) if not name.startswith("jwt")}
    assert found == ASKING.keys() | NOT_ASKING


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "run"
    place.mkdir(mode=0o755)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(place))
    file = tmp_path / "broker.conf"
    revocations = f"plugin.choria.network.revocations = {tmp_path / 'revoked'}"
    lines = ("identity = b1", "plugin.choria.broker_network = true", "plugin.choria.use_srv = false", revocations)
    file.write_text("\n".join((*lines, "plugin.security.provider = file", "")), encoding="utf-8")
    return file


def place_of(config: Path, uid: int) -> Path:
    found = Path(os.environ["RUNTIME_DIRECTORY"]) / directory_name(config, uid)
    found.mkdir(mode=0o700, exist_ok=True)
    return found


def run(command: str, config: Path, *more: str) -> Result:
    arguments = [each.replace("OUTPUT", str(config.parent / "bundle.tar.gz")) for each in ASKING[command]]
    return CliRunner().invoke(main, [*command.split(), *arguments, "--config", str(config), *more])


def status_of(command: str, *, down: bool) -> int:
    """Exit status of a command that had no answer."""
    if command.startswith("check-health"):
        return CRITICAL if down else UNKNOWN
    return {"bundle": 3, "explain": 2}.get(command, 1)


@contextlib.contextmanager
def answering(config: Path, answer: bytes) -> Iterator[None]:
    """Have somebody at the broker's place who answers everything alike."""

    class Answers(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                self.wfile.write(answer + b"\n")

    directory = place_of(config, os.geteuid())
    descriptor = os.open(directory, os.O_PATH)
    try:
        with socketserver.ThreadingUnixStreamServer(f"/proc/self/fd/{descriptor}/{SOCKET}", Answers) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield
            server.shutdown()
            thread.join()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("command", ASKING)
def test_a_broker_that_is_down(command: str, config: Path) -> None:
    result = run(command, config)
    if command == "revoke":  # What is written then counts from the next start.
        assert "nothing has changed" in result.output or "would start" in result.output, result.output
        return
    assert DOWN in result.output, result.output
    assert RIGHTS not in result.output
    assert result.exit_code == status_of(command, down=True)


@pytest.mark.parametrize("command", ASKING)
def test_a_broker_of_another_user(command: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place_of(config, os.geteuid())
    other = os.geteuid() + 12345
    monkeypatch.setattr("choria_broker.control.client.os.geteuid", lambda: other)
    result = run(command, config)
    assert RIGHTS in result.output, result.output
    assert "with sudo" in result.output
    assert result.exit_code == status_of(command, down=False)


@pytest.mark.parametrize("command", ASKING)
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'{"error":"not a valid request: Invalid value"}', VERSION),
        (b'{"result":7}', UNREADABLE),
        (b"HTTP/1.1 400 Bad Request", UNREADABLE),
    ],
)
def test_a_broker_of_another_version(command: str, config: Path, answer: bytes, said: str) -> None:
    with answering(config, answer):
        result = run(command, config)
    assert said in result.output, result.output
    assert DOWN not in result.output
    assert result.exit_code == status_of(command, down=False)


@pytest.mark.parametrize("name", sorted(leaves(main)))
def test_each_command_has_json_and_tells_its_exit_status(name: str) -> None:
    command: click.Command = main
    group = command
    for part in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), part)
        assert found is not None
        command, group = found, command
    options = {flag for each in command.params for flag in each.opts}
    if name in WITHOUT_JSON:
        assert "--json" not in options
    else:
        assert "--json" in options
        told = f"{group.help if name.startswith('check-health') else command.help}"
        assert "Exit status" in told


WITHOUT_JSON = {
    "run",  # Its log is JSON where it goes to a file.
    "settings",  # Markdown.
    "completion",  # A script.
    "demo",
}
