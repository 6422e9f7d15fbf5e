"""The broker's side of the gate against an engine played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import Permissions, SubjectRules, Verdict
from choria_broker.engine import frames
from choria_broker.engine.gate import Gate
from choria_broker.errors import GateError

HELLO = frames.Hello(
    generation=3, optional_client_certificates=True, bridge_secret="s" * 32, answer_within_ms=1500, max_questions=9
)
NOW = 1_700_000_000.0
DEADLINE = 5.0


class FakeEngine:
    """The other end of a gate."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, **fields: object) -> None:
        payload = json.dumps(fields).encode()
        self.send_raw(struct.pack(">I", len(payload)) + payload)

    def send_raw(self, data: bytes) -> None:
        self._writer.write(data)

    def greet(self, **changes: object) -> None:
        self.send(**{"type": "hello", "protocol": 2, "engine": "0", "nats": "2.15.2"} | changes)

    def ask(self, number: int, deadline: float = NOW + 1, **fields: object) -> None:
        question = {"type": "question", "id": number, "connection": number, "deadline": int(deadline * 1000)}
        self.send(**question | {"kind": "client", "tls": "mtls", "address": "192.0.2.1"} | fields)

    async def receive(self) -> dict[str, object]:
        async with asyncio.timeout(DEADLINE):
            (length,) = struct.unpack(">I", await self._reader.readexactly(4))
            frame = json.loads(await self._reader.readexactly(length))
            assert isinstance(frame, dict)
            return frame

    def close(self) -> None:
        self._writer.close()


class Broker:
    """A gate and what it was told."""

    def __init__(self, sock: socket.socket) -> None:
        self.requests: list[ConnectRequest] = []
        self.refusals: list[frames.Refusal] = []
        self.hellos: list[frames.EngineHello] = []
        self.verdict = Verdict(allowed=True, rule="r", reason="", account="choria", username="bob")
        self.gate = Gate(sock, HELLO, self._decide, self.refusals.append, self.hellos.append, clock=lambda: NOW)

    def _decide(self, request: ConnectRequest) -> Verdict:
        self.requests.append(request)
        return self.verdict


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[Broker, FakeEngine, asyncio.Task[None]]]:
    ours, theirs = socket.socketpair()
    broker = Broker(ours)
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    engine = FakeEngine(reader, writer)
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:

        async def serve() -> None:
            with contextlib.suppress(GateError):
                await broker.gate.run()

        task = tasks.create_task(serve())
        assert (await engine.receive())["type"] == "hello"
        try:
            yield broker, engine, task
        finally:
            engine.close()
            await writer.wait_closed()


async def test_the_handshake_tells_the_engine_what_its_file_cannot() -> None:
    ours, theirs = socket.socketpair()
    broker = Broker(ours)
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    engine = FakeEngine(reader, writer)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(broker.gate.run())
        assert await engine.receive() == {
            "type": "hello",
            "protocol": 2,
            "generation": 3,
            "authentication": "questions",
            "optional_client_certificates": True,
            "bridge_secret": "s" * 32,
            "answer_within_ms": 1500,
            "max_questions": 9,
            "mappings": [],
        }
        engine.greet()
        engine.send(type="ready", ports={"client": 4222, "bridge": 5})
        ports = await asyncio.wait_for(broker.gate.ready, DEADLINE)
        engine.close()
    await writer.wait_closed()
    assert ports == frames.Ports(client=4222, bridge=5)
    assert broker.hellos == [frames.EngineHello(protocol=2, engine="0", nats="2.15.2")]


async def test_questions_are_answered_with_the_policys_verdict() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        broker.verdict = Verdict(
            allowed=True,
            rule="r",
            reason="",
            account="choria",
            username="bob",
            permissions=Permissions(publish=SubjectRules(("a",))),
        )
        engine.ask(1, user="bob", password="hunter2")
        answer = await engine.receive()
        assert (answer["id"], answer["generation"], answer["allow"], answer["account"]) == (1, 3, True, "choria")
        assert answer["permissions"] == {
            "publish": {"allow": ["a"], "deny": []},
            "subscribe": {"allow": None, "deny": []},
        }
        broker.verdict = Verdict(allowed=False, rule="r", reason="")
        engine.ask(2)
        assert (await engine.receive())["allow"] is False
        assert [request.connection_id for request in broker.requests] == [1, 2]
        assert broker.gate.counters.answered == 2


async def test_a_question_past_its_deadline_is_not_even_decided() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.ask(1, deadline=NOW)
        engine.ask(2)
        assert (await engine.receive())["id"] == 2
        assert broker.gate.counters.expired == 1
        assert len(broker.requests) == 1


async def test_a_verdict_too_large_for_a_frame_is_a_refusal() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        rules = SubjectRules(tuple(f"{'x' * 1000}.{number}" for number in range(1100)))
        broker.verdict = Verdict(
            allowed=True, rule="r", reason="", account="choria", permissions=Permissions(publish=rules)
        )
        engine.ask(1)
        assert (await engine.receive())["allow"] is False
        assert broker.gate.counters.oversized == 1


async def test_refusals_by_the_engine_are_reported_and_counted() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        engine.send(type="refusal", cause="timeout", id=1, connection=4, address="192.0.2.1")
        engine.ask(2)
        await engine.receive()
        assert broker.refusals == [frames.Refusal(cause="timeout", id=1, connection=4, address="192.0.2.1")]
        assert broker.gate.counters.refused == {"timeout": 1}


@pytest.mark.parametrize("count", [1, 500])
async def test_answers_come_in_the_order_of_the_questions(count: int) -> None:
    async with connected() as (_, engine, _task):
        engine.greet()
        for number in range(count):
            engine.ask(number)
        assert [(await engine.receive())["id"] for _ in range(count)] == list(range(count))


GREETING = json.dumps({"type": "hello", "protocol": 2, "engine": "0", "nats": "2"}).encode()
READY = json.dumps({"type": "ready", "ports": {}}).encode()


def framed(*payloads: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (framed(GREETING.replace(b'"protocol": 2', b'"protocol": 1')), "speaks 1 gate protocol"),
        (framed(READY), "speaks no gate protocol"),
        (framed(GREETING, GREETING), "EngineHello out of turn"),
        (framed(GREETING, READY, READY), "Ready out of turn"),
        (framed(GREETING, b"{}"), "not a frame"),
        (framed(GREETING, b"not json"), "not a frame"),
        (framed(GREETING) + struct.pack(">I", 0), "0 bytes"),
        (framed(GREETING) + struct.pack(">I", frames.MAX_FRAME + 1), "1048577 bytes"),
    ],
)
async def test_a_broken_protocol_ends_the_gate(sent: bytes, told: str) -> None:
    ours, theirs = socket.socketpair()
    broker = Broker(ours)
    _, writer = await asyncio.open_unix_connection(sock=theirs)
    writer.write(sent)
    with pytest.raises(GateError, match=told):
        await asyncio.wait_for(broker.gate.run(), DEADLINE)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"\0", framed(GREETING), framed(GREETING) + b"\0\0\0\x05{"])
async def test_an_engine_that_goes_away_just_ends_the_gate(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    broker = Broker(ours)
    _, writer = await asyncio.open_unix_connection(sock=theirs)
    writer.write(sent)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(broker.gate.run(), DEADLINE)
    assert not broker.gate.ready.done()


async def test_answers_an_engine_does_not_take_hold_back_further_reading() -> None:
    async with connected() as (broker, engine, _):
        engine.greet()
        count = 3000
        rules = SubjectRules(tuple(f"{'x' * 100}.{number}" for number in range(20)))
        broker.verdict = Verdict(
            allowed=True, rule="r", reason="", account="choria", permissions=Permissions(publish=rules)
        )
        for number in range(count):
            engine.ask(number)
        first = await engine.receive()
        held_back = count - broker.gate.counters.answered
        assert held_back > count / 2
        rest = [(await engine.receive())["id"] for _ in range(count - 1)]
        assert [first["id"], *rest] == list(range(count))


async def test_a_frame_may_come_in_any_number_of_pieces() -> None:
    async with connected() as (_, engine, _task):
        engine.greet()
        question = {"type": "question", "id": 1, "connection": 1, "deadline": int((NOW + 1) * 1000)}
        payload = json.dumps(question | {"kind": "client", "tls": "mtls"}).encode()
        for byte in struct.pack(">I", len(payload)) + payload:
            engine.send_raw(bytes([byte]))
            await asyncio.sleep(0)
        assert (await engine.receive())["id"] == 1
