"""The broker's side of the gate against an engine played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterable

from choria_broker.access.request import ConnectRequest
from choria_broker.access.session import Again
from choria_broker.access.verdict import Verdict
from choria_broker.engine.events import Refusal, Told, Versions
from choria_broker.engine.gate import frames
from choria_broker.engine.gate.gate import Gate
from choria_broker.errors import GateError

HELLO = frames.Hello(
    generation=3,
    optional_client_certificates=True,
    bridge_secret="s" * 32,
    answer_within_ms=1500,
    max_questions=9,
    max_unauthenticated=1000,
)


NOW = 1_700_000_000.0


DEADLINE = 60.0


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
        self.send(**{"type": "hello", "protocol": frames.PROTOCOL, "engine": "0", "nats": "2.15.2"} | changes)

    def ask(self, number: int, deadline: float = NOW + 1, **fields: object) -> None:
        request = {"connection_id": number, "kind": "client", "tls": "mtls", "address": "192.0.2.1"} | fields
        self.send(type="question", id=number, deadline=int(deadline * 1000), request=request)

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
        self.refusals: list[Refusal] = []
        self.hellos: list[Versions] = []
        self.verdict = Verdict(allowed=True, rule="r", reason="", account="choria", username="bob")
        self.admitted: list[int] = []
        self.again: list[Again] = []
        self.fault: Exception | None = None
        told = Told(self.refusals.append, self._admitted, self.hellos.append)
        self.gate = Gate(sock, HELLO, self._decide, told, clock=lambda: NOW)

    def _admitted(self, connections: Iterable[int], again: Iterable[Again]) -> None:
        self.admitted += connections
        self.again += again
        if self.fault:
            raise self.fault

    def _decide(self, request: ConnectRequest) -> Verdict:
        self.requests.append(request)
        if self.fault:
            raise self.fault
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


GREETING = json.dumps({"type": "hello", "protocol": frames.PROTOCOL, "engine": "0", "nats": "2"}).encode()


READY = json.dumps({"type": "ready", "ports": {}}).encode()


def framed(*payloads: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads)
