"""The control socket of a running broker: who may ask, what is answered, and that it cannot be worn out."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from click.testing import CliRunner, Result

from choria_broker.audit.decided import Decision
from choria_broker.audit.throttle import Refused
from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.control import server
from choria_broker.control import socket_path as place
from choria_broker.control.client import NotRunningError, UnansweredError, ask_decision, ask_status
from choria_broker.control.peer_credentials import trusted, uid_of_peer
from choria_broker.control.place import claim
from choria_broker.control.protocol import LONGEST_REQUEST, ReloadRequest
from choria_broker.errors import ConfigurationError
from choria_broker.status.document import AuthoritiesReport, AuthorityReport, Status
from support.command import started
from support.minting import HOLDER, ORGANIZATION, encoded, hex_of, mint
from support.minting import client as client_claims
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, client, configuration

STATUS = Status(
    identity="broker.example.net",
    version="1",
    nats="2",
    pid=1,
    source="/etc/choria/broker.conf",
    since=0.0,
    ports={"client": 4222},
    accepted={},
    refused={},
    refused_addresses=(),
)


def fail() -> Status:
    raise RuntimeError("a fault in the status")


def no_text() -> Status:
    return msgspec.structs.replace(STATUS, source=os.fsdecode(b"/etc/\xff"))


def nobody(_connection: int) -> Decision | None:
    return None


SOURCES = server.Sources(status=lambda: STATUS, find=nobody)


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """An environment that leads to a place of the test's own."""
    return {"RUNTIME_DIRECTORY": str(tmp_path)}


async def talk(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a control socket."""
    with place.reachable(path) as name:
        return await asyncio.open_unix_connection(name)


async def exchange(path: Path, request: bytes) -> bytes:
    """Send bytes and read until the broker closes or has answered a line."""
    reader, writer = await talk(path)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(60):
            return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.fixture
async def socket_path(tmp_path: Path, environ: Mapping[str, str]) -> AsyncIterator[Path]:
    """A control socket with an answer to give."""
    async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ) as path:
        yield path


async def test_the_place_is_private_and_gone_afterwards(tmp_path: Path, environ: Mapping[str, str]) -> None:
    async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ) as path:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.parent.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_whoever_leaves_before_his_answer_ends_nothing(
    tmp_path: Path, environ: Mapping[str, str], loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """With an answer that he has not read, which makes the connection end at once, while another one is made."""

    async def scenario() -> None:
        asked, gone = asyncio.Event(), asyncio.Event()

        async def act(_request: object, _who: server.Who) -> str:
            asked.set()
            await gone.wait()
            return "done"

        sources = server.Sources(status=lambda: STATUS, find=nobody, acts={ReloadRequest: act})
        async with asyncio.timeout(60), server.serve(tmp_path / "broker.conf", sources, environ=environ) as path:
            with place.reachable(path) as name, socket.socket(socket.AF_UNIX) as peer:
                peer.connect(name)
                peer.sendall(b"nonsense\n" + msgspec.json.encode(ReloadRequest()) + b"\n")
                await asked.wait()
            await asyncio.sleep(0.05)  # The end of the connection comes by itself.
            gone.set()
            assert json.loads(await exchange(path, b'{"request":"status"}\n'))["result"]["pid"] == 1

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


async def test_requests_are_answered_one_a_line(socket_path: Path) -> None:
    reader, writer = await talk(socket_path)
    try:
        for _ in range(3):
            writer.write(b'{"request":"status"}\n')
            assert json.loads(await reader.readline())["result"]["identity"] == "broker.example.net"
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (b'{"request":"decision","connection":7}\n', "connection 7 is not among the recent decisions"),
        (b'{"request":"decision"}\n', "not a valid request"),
        (b'{"request":"stop"}\n', "not a valid request"),
        (b"[]\n", "not a valid request"),
        (b"\xff\n", "not a valid request"),
        (b"x" * (LONGEST_REQUEST + 1), "a request may have at most 4096 bytes"),
    ],
)
async def test_what_cannot_be_answered_is_said(socket_path: Path, request_: bytes, told: str) -> None:
    assert told in json.loads(await exchange(socket_path, request_))["error"]


@pytest.mark.parametrize("told", [fail, no_text], ids=["made", "written"])
async def test_a_fault_in_an_answer_ends_nothing(
    tmp_path: Path, environ: Mapping[str, str], told: Callable[[], Status]
) -> None:
    sources = server.Sources(status=told, find=nobody)
    async with server.serve(tmp_path / "broker.conf", sources, environ=environ) as path:
        for _ in range(2):
            answer = await exchange(path, b'{"request":"status"}\n')
            assert json.loads(answer) == {"error": "the broker failed to answer, see its log"}


async def test_conversations_are_bounded_in_number_and_time(tmp_path: Path, environ: Mapping[str, str]) -> None:
    bounds = server.Bounds(conversations=1, patience=0.2)
    async with server.serve(tmp_path / "broker.conf", SOURCES, bounds=bounds, environ=environ) as path:
        reader, writer = await talk(path)
        writer.write(b'{"request":"status"}\n')
        assert await reader.readline()
        async with asyncio.timeout(60):
            assert await exchange(path, b"") == b""  # One too many: closed at once.
            assert await reader.read() == b""  # Silent for too long.
            writer.close()
            while not await exchange(path, b'{"request":"status"}\n'):
                continue


async def test_open_conversations_do_not_delay_the_end(tmp_path: Path, environ: Mapping[str, str]) -> None:
    async with asyncio.timeout(5):
        async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ) as path:
            reader, writer = await talk(path)
            writer.write(b'{"request":"status"}\n')
            assert await reader.readline()
        assert await reader.read() == b""
        writer.close()


def test_only_the_same_user_and_root_may_ask() -> None:
    assert trusted(os.geteuid())
    assert trusted(0)
    assert not trusted(os.geteuid() + 54321)


async def test_another_user_is_not_answered(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("choria_broker.control.server.uid_of_peer", lambda _sock: os.geteuid() + 54321)
    assert await exchange(socket_path, b'{"request":"status"}\n') == b""


@pytest.fixture
def killed(tmp_path: Path, environ: Mapping[str, str]) -> Iterator[tuple[int, Path]]:
    """What a broker leaves that is killed while it has its place; the process waits until the fixture ends it."""
    code = (
        "import socket, sys; from pathlib import Path\n"
        "from choria_broker.control.place import claim; from choria_broker.control.socket_path import reachable\n"
        f"with claim(Path({str(tmp_path / 'broker.conf')!r}), {dict(environ)!r}) as path, reachable(path) as name:\n"
        "    sock = socket.socket(socket.AF_UNIX); sock.bind(name); sock.listen()\n"
        "    print(path, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        yield other.pid, Path(other.stdout.readline().strip())
        other.kill()


async def test_a_live_socket_is_respected_and_a_stale_one_replaced(
    tmp_path: Path, environ: Mapping[str, str], killed: tuple[int, Path]
) -> None:
    pid, path = killed
    with pytest.raises(ConfigurationError) as caught:
        async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ):
            pass
    assert f"another broker runs with this configuration, process {pid}" in str(caught.value)
    assert "Remedy: " in str(caught.value)
    assert path.exists()

    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while True:
            try:
                async with server.serve(tmp_path / "broker.conf", SOURCES, environ=environ) as again:
                    assert again == path
                    assert (await asyncio.to_thread(ask_status, tmp_path / "broker.conf", environ)).pid == 1
                    return
            except ConfigurationError:
                await asyncio.sleep(0.01)  # The kernel has not ended the process yet.


def test_a_place_of_somebody_else_is_not_used(tmp_path: Path, environ: Mapping[str, str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    directory = tmp_path / place.directory_name(tmp_path / "broker.conf", os.geteuid())
    directory.symlink_to(tmp_path / "elsewhere")

    with (
        pytest.raises(ConfigurationError, match="set RUNTIME_DIRECTORY"),
        claim(tmp_path / "broker.conf", environ),
    ):
        pass


def test_places_are_found_again_whoever_asks(tmp_path: Path) -> None:
    source = tmp_path / "broker.conf"
    (tmp_path / "personal").mkdir()
    personal = {"XDG_RUNTIME_DIR": str(tmp_path / "personal")}

    assert place.bases(os.geteuid(), personal)[0] == tmp_path / "personal"
    assert tmp_path / "personal" not in place.bases(os.geteuid() + 1, personal)
    assert place.bases(0, {})[0] == Path("/run/choria-broker")
    assert place.bases(1000, {"RUNTIME_DIRECTORY": "/run/a:/run/b"})[0] == Path("/run/a")
    assert place.directory_name(source, 7) == place.directory_name(tmp_path / "x" / ".." / "broker.conf", 7)
    assert place.directory_name(source, 7) != place.directory_name(source, 8)

    other = tmp_path / place.directory_name(source, 7)
    other.mkdir()
    environ = {"RUNTIME_DIRECTORY": str(tmp_path)}
    assert other / place.SOCKET in place.candidates(source, 0, environ)
    assert other / place.SOCKET not in place.candidates(source, 1000, environ)


def test_root_looks_for_others_only_where_not_everybody_makes_directories(tmp_path: Path) -> None:
    source = tmp_path / "broker.conf"
    (tmp_path / place.directory_name(source, 7)).mkdir()
    tmp_path.chmod(0o1777)

    for environ in ({"RUNTIME_DIRECTORY": str(tmp_path)}, {}):
        assert not [path for path in place.candidates(source, 0, environ) if path.parent.name.endswith(".7")]


OWN = os.geteuid()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A socket in a directory as brokers make it."""
    directory = tmp_path / f"choria-broker-0123456789abcdef.{OWN}"
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as sock, place.reachable(directory / place.SOCKET) as name:
        sock.bind(name)
        sock.listen()
        yield directory / place.SOCKET


def test_the_place_of_a_broker_leads_to_its_socket(listening: Path) -> None:
    with place.belonging(listening) as name, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(name)
        assert uid_of_peer(sock) == OWN


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_place_that_others_may_write_to_is_not_followed(listening: Path, mode: int) -> None:
    listening.parent.chmod(mode)
    with pytest.raises(PermissionError), place.belonging(listening):
        pass


@pytest.mark.parametrize("suffix", [str(OWN + 1), "x", "", "-1"])
def test_a_place_of_another_user_than_its_name_says_is_not_followed(listening: Path, suffix: str) -> None:
    moved = listening.parent.rename(listening.parent.with_name(f"choria-broker-0123456789abcdef.{suffix}"))
    with pytest.raises(PermissionError), place.belonging(moved / place.SOCKET):
        pass


@pytest.mark.skipif(OWN != 0, reason="only root can give a file to another user")
def test_a_socket_of_another_user_is_not_followed(listening: Path) -> None:
    os.chown(listening, 65534, 65534)
    with pytest.raises(PermissionError), place.belonging(listening):
        pass


def test_links_are_not_followed(listening: Path, tmp_path: Path) -> None:
    link = tmp_path / f"choria-broker-fedcba9876543210.{OWN}"
    link.symlink_to(listening.parent)
    with pytest.raises(OSError, match=r"Not a directory|Too many"), place.belonging(link / place.SOCKET):
        pass
    link.unlink()
    link.mkdir(mode=0o700)
    (link / place.SOCKET).symlink_to(listening)
    with pytest.raises(OSError, match="not a socket"), place.belonging(link / place.SOCKET):
        pass


@pytest.mark.skipif(OWN != 0, reason="only root can give a file to another user")
def test_root_does_not_believe_a_stranger_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "broker.conf"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = tmp_path / place.directory_name(source, 0)
    directory.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as sock:
        with place.reachable(directory / place.SOCKET) as name:
            sock.bind(name)
        sock.listen()
        sock.settimeout(0)
        for path in (directory / place.SOCKET, directory):
            os.chown(path, 65534, 65534)
        with pytest.raises(NotRunningError):
            ask_status(source, {})
        with pytest.raises(BlockingIOError):
            sock.accept()


async def test_an_answer_of_another_user_is_not_believed(
    tmp_path: Path, environ: Mapping[str, str], socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert socket_path.exists()
    monkeypatch.setattr("choria_broker.control.client.uid_of_peer", lambda _sock: OWN + 54321)
    with pytest.raises(NotRunningError):
        await asyncio.to_thread(ask_status, tmp_path / "broker.conf", environ)


SHORT = "0c" * 8
HOSTILE = "x\x1b[31m\x9b2J\u202e\n"


async def test_what_is_told_about_peers_is_no_command_for_the_terminal(
    tmp_path: Path, environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = msgspec.structs.replace(
        STATUS,
        identity=HOSTILE,
        accepted={HOSTILE: 1},
        refused_addresses=(Refused(HOSTILE, 2, 0.0, {HOSTILE: 2}),),
    )
    config = tmp_path / "broker.conf"
    monkeypatch.setenv("RUNTIME_DIRECTORY", environ["RUNTIME_DIRECTORY"])
    async with server.serve(config, server.Sources(status=lambda: status, find=nobody), environ=environ):
        as_text = await run("status", "--config", config)
        as_json = await run("status", "--config", config, "--json")

    for result in (as_text, as_json):
        assert all(line.isprintable() for line in result.stdout.split("\n"))
    assert as_text.stdout.count("x\\x1b[31m\\x9b2J\\u202e\\n") == 4
    assert json.loads(as_json.stdout)["refused_addresses"][0]["address"] == HOSTILE


BY_ENGINE = {"authentication": 2, "tls-handshake": 1}
REFUSED = (Refused("192.0.2.7", 1, 0.0, {"authentication": 1}),)


@pytest.mark.parametrize(
    ("operator", "refused", "engine", "addresses", "line"),
    [
        ("", {}, {}, (), "Refused: none"),
        ("", {"certificate-required": 1}, {}, REFUSED, "Refused: certificate-required 1"),
        ("", {}, BY_ENGINE, REFUSED, "Refused: by nats-server 3 (authentication 2, tls-handshake 1)"),
        ("OPS", {}, BY_ENGINE, REFUSED, "Refused: by nats-server 3 (authentication 2, tls-handshake 1)"),
        (
            "",
            {"certificate-required": 1},
            BY_ENGINE,
            REFUSED,
            "Refused: certificate-required 1; by nats-server 3 (authentication 2, tls-handshake 1)",
        ),
        ("OPS", {}, {}, (), None),
    ],
)
def test_addresses_that_were_refused_stand_below_a_line_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
    operator: str,
    refused: dict[str, int],
    engine: dict[str, int],
    addresses: tuple[Refused, ...],
    line: str | None,
) -> None:
    told = msgspec.structs.replace(
        STATUS, operator=operator, refused=refused, refused_addresses=addresses, unverified_account="EDGE"
    )
    told = msgspec.structs.replace(told, engine_refused=engine)
    monkeypatch.setattr("choria_broker.cli.status.ask_status", lambda _config: told)
    lines = CliRunner().invoke(main, ["status", "--config", "broker.conf"]).stdout.splitlines()
    assert [each for each in lines if each.startswith("Refused")] == ([line] if line else [])
    shown = [number for number, each in enumerate(lines) if each.startswith("  192.0.2.7: once")]
    assert len(shown) == len(addresses)
    assert [lines[number - 1] for number in shown] == [line] * len(addresses)


def test_connections_by_authority_are_told_with_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    found = AuthoritiesReport(
        (
            AuthorityReport("CN=new", "0a" * 32, 2e9, 9.0, ("/ca.pem",), {"client": 2, "to_leafnode": 1}),
            AuthorityReport("CN=old", "0b" * 32, 1e9, -1.0, ("/ca.pem",), {}),
            AuthorityReport("", "0c" * 32, 2e9, 9.0, (), {"leafnode": 1}),
        ),
        without_certificate={"client": 3},
        clear_text={"websocket": 1},
        time=1.7e9,
    )
    told = msgspec.structs.replace(STATUS, authorities=found)
    monkeypatch.setattr("choria_broker.cli.status.ask_status", lambda _config: told)
    lines = CliRunner().invoke(main, ["status", "--config", "broker.conf"]).stdout.splitlines()
    begin = lines.index("Connections by CA, 2023-11-14 22:13:20 UTC:")
    assert lines[begin + 1 : begin + 6] == [
        "  CN=new (0a0a0a0a0a0a0a0a), expires 2033-05-18 03:33:20 UTC: client 2, to leafnode 1; /ca.pem",
        "  CN=old (0b0b0b0b0b0b0b0b), expired 2001-09-09 01:46:40 UTC: none; /ca.pem",
        f"  unnamed ({SHORT}), expires 2033-05-18 03:33:20 UTC: leafnode 1; in no CA file any more, cannot reconnect",
        "  no certificate: client 3; the CA with which these verify this broker is not known here",
        "  no TLS: websocket 1",
    ]


@pytest.mark.parametrize("command", [["status"], ["explain", "--connection", "1"]])
async def test_a_reason_that_comes_from_the_socket_is_no_command_for_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def unanswered(*_arguments: object) -> object:
        raise UnansweredError(HOSTILE)

    monkeypatch.setattr("choria_broker.cli.status.ask_status", unanswered)
    monkeypatch.setattr("choria_broker.cli.explain.ask_decision", unanswered)
    result = await run(command[0], "--config", tmp_path / "broker.conf", *command[1:])

    assert "x\\x1b[31m" in result.stderr
    assert all(line.isprintable() for line in result.stderr.split("\n"))


async def run(*arguments: str | Path) -> Result:
    """Run a command in a thread, so that the broker in this loop can answer."""
    return await asyncio.to_thread(CliRunner().invoke, main, list(map(str, arguments)))


async def test_a_running_broker_tells_its_status(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    context = authority.context(authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(config) as broker:
        async with client(broker, context):
            pass
        async with wire(broker.ports.client, authority.context(), source="127.0.3.4") as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect()
        as_json = await run("status", "--config", config, "--json")
        as_text = await run("status", "--config", config)
        ports = broker.ports.client
    found = json.loads(as_json.stdout)
    assert (found["identity"], found["pid"], found["source"]) == ("broker.example.net", os.getpid(), str(config))
    assert found["ports"]["client"] == ports
    assert (found["accepted"], found["refused"]) == ({"mtls": 1}, {"certificate-required": 1})
    assert found["refused_addresses"][0]["address"] == "127.0.3.4"
    assert [(each["address"], each["allowed"], each["rule"]) for each in found["recent"]] == [
        ("127.0.3.4", False, "certificate-required"),
        ("127.0.0.1", True, "mtls"),
    ]
    assert "from 127.0.0.1: into choria, mtls" in as_text.stdout
    assert f"client {ports}" in as_text.stdout
    assert "127.0.3.4: once" in as_text.stdout
    assert "certificate-required 1" in as_text.stdout

    gone = await run("status", "--config", config)
    assert gone.exit_code == 1
    assert f"no broker runs with {config}" in gone.stderr
    assert "start it" in gone.stderr


@pytest.mark.parametrize(
    "words", [("status",), ("connections",), ("find", "web1"), ("streams",), ("certificates",), ("top", "--once")]
)
async def test_a_configuration_that_is_not_there_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The sentence names the mistake, which is another one than a broker that is down."""
    for name in ("nothing.conf", "nothing/below.conf"):
        result = await run(*words, "--config", tmp_path / name)
        assert result.exit_code == 1
        assert f"no broker runs with {tmp_path / name}: there is no such file" in result.stderr
        assert "--config names the file" in result.stderr


async def test_a_running_broker_explains_a_decision(tmp_path: Path, authority: Authority) -> None:
    config = configuration(
        tmp_path,
        authority,
        plugin__security__issuer__names="choria",
        plugin__security__issuer__choria__public=hex_of(ORGANIZATION),
    )
    times = {"iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 4_102_444_800}
    token = mint(client_claims(**times, permissions={"fleet_management": True}))
    explain = ("explain", "--config", config, "--connection")
    async with NetworkBroker.from_file(config) as broker:
        async with wire(broker.ports.client, authority.context()) as peer:
            await peer.connect(auth_token=token, sig=encoded(HOLDER.sign(peer.nonce.encode())))
        accepted = (await recent(broker))[-1].connection_id
        async with wire(broker.ports.client, authority.context()) as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect(auth_token=token)
        refused = (await recent(broker))[-1].connection_id

        result = await run(*explain, str(accepted), "--publish", "c.node.n1", "--json")
        document: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == 0
        assert document["verdict"]["username"] == "up=alice"
        assert "*.node.>" in document["verdict"]["permissions"]["publish"]["allow"]
        assert document["subjects"][0]["entry"] == "*.node.>"

        result = await run(*explain, str(refused))
        assert result.exit_code == 1
        assert "1. token-nonce: refused" in result.stdout
        assert "Refused by token-nonce" in result.stdout

        result = await run(*explain, "999999")
        assert result.exit_code == 2
        assert "connection 999999 is not among the recent decisions" in result.stderr

        result = await run(*explain, "1", "--user", "bob")
        assert result.exit_code == 2
        assert "--connection cannot be used with --user" in result.stderr

        with pytest.raises(UnansweredError):
            await asyncio.to_thread(ask_decision, config, 999_999)
    with pytest.raises(NotRunningError):
        await asyncio.to_thread(ask_status, config)


async def test_two_brokers_do_not_share_a_configuration(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    async with NetworkBroker.from_file(config):
        with pytest.raises(
            ConfigurationError, match=f"another broker runs with this configuration, process {os.getpid()}"
        ):
            async with NetworkBroker.from_file(config):
                pass
    async with NetworkBroker.from_file(config) as broker:
        assert broker.started


async def test_the_program_answers_too(tmp_path: Path, authority: Authority) -> None:
    log = tmp_path / "broker.log"
    config = configuration(tmp_path, authority, logfile=log)
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        result = await run("status", "--config", config, "--json")
        assert json.loads(result.stdout)["pid"] == program.pid
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
    assert not any(path.exists() for path in place.candidates(config, os.geteuid(), os.environ))


def test_the_kernel_tells_who_the_peer_is() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert uid_of_peer(ours) == os.geteuid()
