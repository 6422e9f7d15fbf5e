"""Peers that talk garbage, are slow or do not read, on every port: they end, cost little, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from support.command import Program, started
from support.flooding import median_login
from support.nats_socket import wire
from support.stalls import NOT_IN, let_in, megabytes, scraped
from support.testbed import Authority, free_port
from support.topology import Node, client_of, configure, every_listener

ROUNDS = int(os.environ.get("FAULTS_FACTOR", "1"))
"""How many times everything is said; ``make soak`` has more."""

MOST_MEGABYTES = 110
MOST_GROWTH_OF_ENGINE = 60
IN_TIME = 60.0
"""Seconds after which who is slow has certainly been ended: ten on a machine with time."""
ANSWER = 1.0
"""Seconds for which an answer to garbage is read; connections without a login end by themselves later."""

AT_ONCE = 6
"""Kinds of garbage that are said at the same time."""

INFO_FIRST = ("client", "leafnode")
"""Listeners that greet in clear text before TLS."""

MARK = b"PEERSTEXT"
RANDOM = random.Random(7)  # noqa: S311 - no secret
WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
GARBAGE = {
    "nothing": b"",
    "zeros": bytes(50_000),
    **{f"random bytes {number}": RANDOM.randbytes(2000) for number in range(4)},
    "a request": b"GET /" + MARK + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a TLS record": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + RANDOM.randbytes(508),
    "an SSH greeting": b"SSH-2.0-" + MARK + b"\r\n",
    "control characters": b"\x1b[2J\x1b]0;" + MARK + b"\x07\r\n" * 50,
    "a line without end": b"CONNECT " + b"x" * 200_000,
    "a CONNECT that is none": b"CONNECT {" + MARK + b"\r\nPING\r\n",
    "a CONNECT of brackets": b'CONNECT {"x":' + b"[" * 3000 + b"\r\n",
    "a CONNECT of other types": b'CONNECT {"auth_token":7,"user":[],"pass":{}}\r\nPING\r\n',
    "messages before CONNECT": b"PUB a 5\r\nhello\r\n" * 100 + b"SUB > 1\r\n",
    "a message of negative size": b"CONNECT {}\r\nPUB a -1\r\n" + MARK + b"\r\n",
    "a message beyond all sizes": b"CONNECT {}\r\nPUB a 99999999999999999999\r\n" + MARK + b"\r\n",
    "words of a route": b'INFO {"server_id":"' + MARK + b'"}\r\nRS+ choria >\r\nRMSG choria a 2\r\nhi\r\n',
    "words of a leafnode": b"LS+ >\r\nLMSG a 2\r\nhi\r\n",
    "words of a gateway": b'INFO {"gateway":"x","gateway_nrp":true}\r\nA+ choria\r\nRS+ choria > q 1\r\n',
    "an INFO with addresses": b'INFO {"connect_urls":["' + MARK + b':1"],"server_id":"x","cluster":"x"}\r\n' * 20,
    "a length of two gigabytes": struct.pack(">I", 0x7FFFFFFF) + b"{}",
    "a line of a control request": b'{"type":"status"}\n{"type":"' + MARK + b'"}\n[[[[[\n',
    "a websocket of nonsense": WEBSOCKET + RANDOM.randbytes(500),
    "a websocket of huge frames": WEBSOCKET + b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0" + MARK,
    "a websocket of endless pieces": WEBSOCKET + (b"\x02\x81\0\0\0\0x" + b"\x00\x81\0\0\0\0x" * 200),
}
"""What is said, by what it is called; some of it is meant for one listener, and said on all."""


class Scene:
    """A broker with every listener, as a program.

    Attributes:
        node: its ports.
        program: the program.
        engine: its engine.
        ports: of its public listeners, by name.
        sockets: its private ones.
        context: TLS of somebody who may come in.
        strange: TLS of somebody without a certificate.
    """

    def __init__(self, program: Program, node: Node, websocket: int, run: Path, authority: Authority) -> None:
        """Look at a program that is ready."""
        self.node, self.program = node, program
        self.engine = psutil.Process(program.pid).children()[0]
        self.ports = {
            "client": node.client,
            "websocket": websocket,
            "leafnode": node.leafnode,
            "cluster": node.peer,
            "gateway": node.gateway,
            "statistics": node.statistics,
        }
        self.sockets = {path.name: path for path in run.rglob("*") if path.is_socket()}
        self.context = authority.context(authority.issue("bob.mcollective"))
        self.strange = authority.context()


@contextlib.asynccontextmanager
async def scene(folder: Path, authority: Authority) -> AsyncIterator[Scene]:
    """Run it; at the end it is as sound as it was."""
    node, websocket = Node("broker.example.net"), free_port()
    log, run = folder / "broker.log", folder / "r"
    run.mkdir()
    config = configure(
        folder,
        authority,
        node,
        logfile=log,
        network__write_deadline="1s",
        **every_listener(node, websocket),
    )
    environment = {"RUNTIME_DIRECTORY": str(run)}
    async with started("run", "--config", config, log=log, environment=environment) as program:
        await program.told("READY=1")
        made = Scene(program, node, websocket, run, authority)
        async with client_of(node, made.context) as member:
            before = megabytes(made.engine.pid)
            yield made
            await member.flush()  # Who is in has not noticed.
            await let_in(node.client, made.context)
            assert await scraped(node.statistics, "choria_broker_health") >= 0
            assert megabytes(program.pid) < MOST_MEGABYTES
            assert megabytes(made.engine.pid) - before < MOST_GROWTH_OF_ENGINE
            assert made.engine.is_running()
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
        assert await program.output() == ""


Opened = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def says(opened: Opened, data: bytes) -> bytes:
    """Open a connection, say something, and hear what comes of it for a while; the connection may fail at any point."""
    heard = b""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(ANSWER):
            reader, writer = await opened()
            writer.write(data)
            await writer.drain()
            while len(heard) < 100_000 and (more := await reader.read(65536)):
                heard += more
    except (*NOT_IN, TimeoutError):
        pass
    finally:
        if writer is not None:
            writer.transport.abort()
    return heard


def ways(made: Scene) -> Iterator[tuple[str, Opened]]:
    """List the ways to all places of a broker, in clear text and with TLS, with a certificate and without."""

    def clear(port: int) -> Opened:
        return lambda: asyncio.open_connection("127.0.0.1", port)

    def private(path: Path) -> Opened:
        return lambda: asyncio.open_unix_connection(os.path.relpath(path))

    def secured(name: str, context: ssl.SSLContext) -> Opened:
        async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", made.ports[name])
            if name in INFO_FIRST:
                await reader.readuntil(b"\r\n")
            await writer.start_tls(context, server_hostname="127.0.0.1")
            return reader, writer

        return opened

    for name, port in made.ports.items():
        yield name, clear(port)
        if name != "statistics":
            yield f"{name} with TLS", secured(name, made.strange)
            yield f"{name} with a certificate", secured(name, made.context)
    for name, path in made.sockets.items():
        yield name, private(path)


@pytest.mark.slow
@pytest.mark.timeout(150 + 30 * ROUNDS)
async def test_garbage_on_every_port_and_socket_ends_there(tmp_path: Path, authority: Authority) -> None:
    async with scene(tmp_path, authority) as made:
        assert set(made.sockets) >= {"bridge", "control", "pages"}
        everywhere, kinds = dict(ways(made)), list(GARBAGE.values())
        for _ in range(ROUNDS):
            for batch in (kinds[place : place + AT_ONCE] for place in range(0, len(kinds), AT_ONCE)):
                heard = await asyncio.gather(*(says(opened, data) for opened in everywhere.values() for data in batch))
                # Nobody is let in, and nobody's text is repeated to others.
                assert not [each for each in heard if b"PONG" in each or b"MSG " in each]
    written = (tmp_path / "broker.log").read_bytes()
    assert len(written) < 400_000 * ROUNDS
    assert b"\x1b" not in written


async def test_garbage_of_somebody_who_is_in_ends_that_connection_only(tmp_path: Path, authority: Authority) -> None:
    async with scene(tmp_path, authority) as made:

        async def logged_in() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", made.node.client)
            await reader.readuntil(b"\r\n")
            await writer.start_tls(made.context, server_hostname="127.0.0.1")
            writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
            while await reader.readuntil(b"\r\n") != b"PONG\r\n":
                continue
            return reader, writer

        async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            while True:
                with contextlib.suppress(*NOT_IN):  # So many at once are too late on a busy machine.
                    return await logged_in()

        heard = await asyncio.gather(*(says(opened, data) for data in GARBAGE.values()))
        assert sum(b"-ERR" in each for each in heard) > len(heard) / 2


def client_hello() -> bytes:
    """Write the first record of a TLS client."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


async def byte_by_byte(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a handshake as slowly as one can."""
    for byte in client_hello():
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def half_a_handshake(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a handshake and leave it at that."""
    writer.write(client_hello()[:100])


async def half_open(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a handshake and close one side."""
    writer.write(client_hello())
    writer.write_eof()


async def unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin handshakes, one after the other, and read nothing of the answers."""
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    writer.write(client_hello() * 50)
    del reader


SLOW = {act.__name__: act for act in (byte_by_byte, half_a_handshake, half_open, unread)}


@pytest.mark.slow
async def test_slow_handshakes_end_in_time_and_keep_nobody_waiting(tmp_path: Path, authority: Authority) -> None:
    async def lingers(port: int, act: Callable[..., Awaitable[None]], *, greeted: bool) -> float:
        """Be slow until the server has enough; the seconds that took."""
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(*NOT_IN):
            if greeted:
                await reader.readuntil(b"\r\n")
            await act(reader, writer)
        while not reset(writer):
            with contextlib.suppress(*NOT_IN):
                writer.write(b"x")  # A peer that is gone answers this.
            await asyncio.sleep(0.05)
        writer.transport.abort()
        return time.monotonic() - begun

    async with scene(tmp_path, authority) as made:
        async with asyncio.TaskGroup() as tasks:
            slow = [
                tasks.create_task(lingers(port, act, greeted=name in INFO_FIRST))
                for name, port in made.ports.items()
                for act in SLOW.values()
                for _ in range(5)
                if name in {"client", "cluster", "gateway"}  # Others have longer; the engine's own tests have them all.
            ]
            median, lost = await median_login(made.node.client, made.context, 10)
        assert lost < 5
        assert median < 5.0
        assert max(each.result() for each in slow) < IN_TIME


def reset(writer: asyncio.StreamWriter) -> bool:
    """Tell whether the other side has closed a connection, read or not."""
    if writer.transport.is_closing():
        return True
    taken: socket.socket = writer.get_extra_info("socket")
    return taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1  # Established.


async def test_who_does_not_read_is_let_go_and_others_get_all(tmp_path: Path, authority: Authority) -> None:
    message, count = "x" * 100_000, 150
    async with scene(tmp_path, authority) as made, client_of(made.node, made.context) as reader:
        got = await reader.subscribe("big.*", pending_bytes_limit=-1)
        async with contextlib.AsyncExitStack() as stack:
            deaf = [await stack.enter_async_context(wire(made.node.client, made.context)) for _ in range(2)]
            for each in deaf:
                await each.connect(name="deaf")
                await each.subscribe(["big.*"])
            async with client_of(made.node, made.context) as sender:
                for number in range(count):
                    await sender.publish(f"big.{number}", message.encode())
                    if number % 10 == 0:
                        await sender.flush(30)
                for _ in range(count):
                    await got.next_msg(timeout=10)
            told = await made.program.logs("Slow consumer")
            assert "WriteDeadline" in str(told["limit"])
            assert told["subject"] == "big.*"
            for each in deaf:
                each.drop()  # To close it in order one would have to read.
