"""The control socket of a running broker: who may ask, what is answered, and that it cannot be worn out."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
import uvloop

from choria_broker.broker import NetworkBroker
from choria_broker.control import server
from choria_broker.control import socket_path as place
from choria_broker.control.peer_credentials import trusted, uid_of_peer
from choria_broker.control.protocol import LONGEST_REQUEST, ReloadRequest
from choria_broker.errors import ConfigurationError
from choria_broker.status.document import Status
from support.control_socket import SOURCES, STATUS, nobody
from support.testbed import Authority, configuration


def fail() -> Status:
    raise RuntimeError("a fault in the status")


def no_text() -> Status:
    return msgspec.structs.replace(STATUS, source=os.fsdecode(b"/etc/\xff"))


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


def test_the_kernel_tells_who_the_peer_is() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert uid_of_peer(ours) == os.geteuid()
