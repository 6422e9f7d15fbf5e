"""A gate that is closed, and garbage on it, either way: both programs end by themselves, and nobody is let in.

Towards the broker a false engine speaks, towards the engine this test.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.engine import binary
from choria_broker.engine.gate import codec, frames
from choria_broker.engine.process import EngineProcess
from choria_broker.engine.running import Limits
from choria_broker.errors import EngineDiedError, GateError
from support.command import started
from support.false_engine import false_engine
from support.nats_socket import wire
from support.stalls import NOT_IN
from support.testbed import Authority, configuration, free_port

PATIENT = 60.0
LONGEST = 200
"""Characters of what a broker says that meets garbage: nothing of it is repeated."""

MOST_MEGABYTES = 110
NESTED = 'b"[" * 900_000'

GARBAGE = {
    "bytes before the hello": r'raw(b"\xff" * 5000); on()',
    "bytes of another protocol": r'raw(b"INFO {}\r\n" * 50); on()',
    "a frame without length": r"hello(); raw(bytes(4)); on()",
    "a frame that is too long": r'hello(); raw(struct.pack(">I", 1 << 20 | 1)); on()',
    "no JSON": r'hello(); frame(b"\xfe\xed"); on()',
    "JSON of another kind": r'hello(); frame(b"[1, 2]"); on()',
    "JSON without a type": r'hello(); frame(b"{}"); on()',
    "an unknown type": r'hello(); send("surprise"); on()',
    "nothing but brackets": rf"hello(); frame({NESTED}); on()",
    "brackets in a field": rf'hello(); frame(b"{{\"type\":\"losses\",\"x\":" + {NESTED}); on()',
    "a question before the hello": r"ask(1); on()",
    "another protocol": r'send("hello", protocol=1, engine="0", nats="2"); on()',
    "two hellos": r"hello(); hello(); on()",
    "ready twice": r'ready(); send("ready", ports={}); on()',
    "an answer to no reload": r'ready(); send("reloaded", id=1); on()',
    "a question without a request": r'ready(); send("question", id=1, deadline=1); on()',
    "a question with numbers in place of texts": r"ready(); ask(1, user=7); on()",
    "a number that no integer holds": r"ready(); ask(1 << 70); on()",
    "a deadline beyond all times": r"ready(); ask(1, 10 ** 400); on()",
    "half a frame and the end": r'ready(); raw(b"\0\0\1\0{"); os._exit(0)',
    "the end after ready": r"ready(); os._exit(0)",
    "the end before the hello": r"os._exit(0)",
}
"""What a false engine does, by what it is called."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything lies that is left of a broker and of its engine."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return tmp_path


async def ends(folder: Path, authority: Authority, act: str, monkeypatch: pytest.MonkeyPatch, gone: float = 5) -> str:
    """Run a broker with a false engine until it ends by itself, and look at what it leaves; what it ended with."""
    config = configuration(folder, authority, network__soft_shutdown_timeout=1)
    monkeypatch.setenv(binary.OVERRIDE, str(false_engine(folder, act, frames.PROTOCOL)))
    settings = NetworkBroker.from_file(config).settings
    with pytest.raises((GateError, EngineDiedError)) as caught:
        async with asyncio.timeout(PATIENT):
            await NetworkBroker(settings, limits=Limits(gone=gone)).run()
    assert not psutil.pid_exists(int((folder / "false-engine.pid").read_text(encoding="ascii")))
    assert not psutil.Process().children()
    assert not list((folder / "run").glob("choria-broker-run-*"))
    return str(caught.value)


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_of_the_engine_ends_both(
    here: Path, authority: Authority, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = await ends(here, authority, GARBAGE[kind], monkeypatch)
    assert len(told) < LONGEST
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "act", ["gate.close(); time.sleep(600)", "gate.shutdown(socket.SHUT_WR); on(); time.sleep(600)"]
)
async def test_an_engine_that_closes_the_gate_and_goes_on_is_ended(
    here: Path, authority: Authority, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await ends(here, authority, f"ready(); {act}", monkeypatch, gone=0.2)
    assert "the engine closed the gate and did not end" in told


async def test_an_engine_that_breaks_the_protocol_and_heeds_nothing_is_killed(
    here: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = 'signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); send("surprise"); time.sleep(600)'
    assert "gate protocol" in await ends(here, authority, act, monkeypatch)


@pytest.mark.parametrize("kind", ["bytes before the hello", "brackets in a field", "the end after ready"])
async def test_the_program_says_so_and_fails(here: Path, authority: Authority, kind: str) -> None:
    log = here / "broker.log"
    config = configuration(here, authority, logfile=log)
    environment = {binary.OVERRIDE: str(false_engine(here, GARBAGE[kind], frames.PROTOCOL))}
    async with started("run", "--config", config, log=log, environment=environment) as program:
        assert await program.ended() == 1
        output = await program.output()
    assert "Could not run Choria: " in output
    assert "Traceback" not in output + log.read_text(encoding="utf-8")
    assert [line for line in program.lines() if line["level"] == "fatal"]
    assert not psutil.pid_exists(int((here / "false-engine.pid").read_text(encoding="ascii")))


@pytest.mark.slow
async def test_an_engine_that_asks_and_asks_and_takes_no_answer_fills_no_memory(
    tmp_path: Path, authority: Authority
) -> None:
    log = tmp_path / "broker.log"
    config = configuration(tmp_path, authority, logfile=log, loglevel="error")
    # It waits for room on the gate: the broker reads no more than it can answer.
    act = """
ready()
gate.setblocking(False)
sent, number = 0, 0
while True:
    number += 1
    try:
        ask(number, name="x" * 2000)
    except BlockingIOError:
        break
with open(os.path.join(here, "full"), "w") as file:
    file.write(str(number))
ended = select.poll()
ended.register(gate, 0)  # Hears of the broker's end without reading.
ended.poll(600_000)
"""
    environment = {binary.OVERRIDE: str(false_engine(tmp_path, act, frames.PROTOCOL))}
    async with started("run", "--config", config, log=log, environment=environment) as program:
        await program.told("READY=1")
        full = tmp_path / "full"
        async with asyncio.timeout(PATIENT):
            while not full.exists():
                await asyncio.sleep(0.02)
        assert psutil.Process(program.pid).memory_info().rss / 1e6 < MOST_MEGABYTES


# The other way: a real engine, and garbage in place of a broker.

PLAIN = """
server_name: broker
host: 127.0.0.1
port: %d
accounts { choria {} }
"""


class Broker:
    """What the engine takes for its broker."""

    def __init__(self, engine: EngineProcess, gate: socket.socket, port: int) -> None:
        """Take over a gate on which nothing was said."""
        self.engine = engine
        self.gate = gate
        self.port = port

    def send(self, data: bytes) -> None:
        """Say something, as it is."""
        self.gate.setblocking(True)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.gate.sendall(data)

    def greet(self) -> None:
        """Say what a broker has to say first."""
        hello = frames.Hello(
            generation=3,
            optional_client_certificates=False,
            bridge_secret="x" * 40,
            answer_within_ms=5000,
            max_questions=10,
            max_unauthenticated=100,
        )
        self.send(codec.encode(hello))

    async def hears(self, kind: str) -> None:
        """Wait for a frame of a type."""
        wanted, heard = f'"type":"{kind}"'.encode(), b""
        self.gate.setblocking(False)
        async with asyncio.timeout(PATIENT):
            while wanted not in heard:
                heard += await asyncio.get_running_loop().sock_recv(self.gate, 65536)


@contextlib.asynccontextmanager
async def greeted(folder: Path) -> AsyncIterator[Broker]:
    """Run an engine that is ready; on exit it is gone in any case."""
    port = free_port()
    file = folder / "engine.conf"
    file.write_text(PLAIN % port, encoding="utf-8")
    engine, gate = EngineProcess.start(binary.locate(), file)
    try:
        broker = Broker(engine, gate, port)
        broker.greet()
        await broker.hears("ready")
        yield broker
    finally:
        engine.kill()
        await engine.wait()
        gate.close()


def framed(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode()


NONSENSE = {
    "bytes": b"\xff" * 5000,
    "a frame without length": bytes(4),
    "a frame that is too long": struct.pack(">I", 1 << 20 | 1),
    "no JSON": framed("nonsense"),
    "nothing but brackets": framed("[" * 900_000),
    "brackets in a field": framed('{"type":"verdict","id":1,"permissions":' + "[" * 900_000),
    "an unknown type": framed('{"type":"surprise"}'),
    "a verdict without a question": framed('{"type":"verdict","allow":true}'),
    "a policy that went back": framed('{"type":"generation","generation":1}'),
    "half a frame and the end": b"\0\0\1\0{",
    "the end": b"",
}
"""What a false broker says, by what it is called."""


@pytest.mark.parametrize("kind", NONSENSE)
async def test_garbage_of_the_broker_ends_the_engine_and_lets_nobody_in(tmp_path: Path, kind: str) -> None:
    async with greeted(tmp_path) as broker, asyncio.TaskGroup() as tasks:
        log = tasks.create_task(broker.engine.drain())
        attempt = tasks.create_task(logs_in(broker.port))
        await broker.hears("question")
        begun = time.monotonic()
        broker.send(NONSENSE[kind])
        if kind.endswith("the end"):
            broker.gate.shutdown(socket.SHUT_RDWR)
        async with asyncio.timeout(PATIENT):
            status = await broker.engine.wait()
            await log
        assert time.monotonic() - begun < PATIENT / 2
        assert status == (0 if kind.endswith("the end") else 1)
        assert not await attempt
        assert any("gate" in line for line in broker.engine.last_lines)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", broker.port)


async def logs_in(port: int) -> bool:
    """Try to log in; whether that went well."""
    try:
        async with wire(port) as connection:
            await connection.connect(name="somebody")
    except NOT_IN:
        return False
    return True
