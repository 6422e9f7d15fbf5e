"""The broker's side of the gate: answers the engine's questions in order, each before its deadline."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from collections.abc import Callable

from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import Verdict
from choria_broker.engine import frames

Decide = Callable[[ConnectRequest], Verdict]
"""Answers one request at once; it must not block and must not raise."""

_YIELD_AFTER = 64
"""Questions answered in a row before other tasks of the loop get their turn."""


class GateError(Exception):
    """The gate failed: the engine broke the protocol or speaks another version of it."""


@dataclasses.dataclass(slots=True)
class GateCounters:
    """What happened at the gate since the start.

    Attributes:
        answered: questions answered in time.
        expired: questions read after their deadline and not answered.
        oversized: verdicts too large for the protocol, answered as refusals.
        refused: refusals the engine decided itself, by cause.
    """

    answered: int = 0
    expired: int = 0
    oversized: int = 0
    refused: dict[str, int] = dataclasses.field(default_factory=dict)


class Gate:
    """One engine's gate.

    Args:
        sock: the broker's end of the socket pair; the gate closes it.
        hello: the broker's first frame.
        decide: the policy.
        on_refusal: told of each refusal the engine decided itself.
        on_hello: told once what the engine says of itself.
        clock: Unix time in seconds, the clock the engine's deadlines are of.

    Attributes:
        ready: done with the engine's ports when every listener is open.
        counters: what happened so far.
    """

    def __init__(
        self,
        sock: socket.socket,
        hello: frames.Hello,
        decide: Decide,
        on_refusal: Callable[[frames.Refusal], None],
        on_hello: Callable[[frames.EngineHello], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the gate; nothing is sent before ``run``."""
        self._sock = sock
        self._hello = hello
        self._decide = decide
        self._on_refusal = on_refusal
        self._on_hello = on_hello
        self._clock = clock
        self.ready: asyncio.Future[frames.Ports] = asyncio.get_running_loop().create_future()
        self.counters = GateCounters()

    async def run(self) -> None:
        """Greet the engine and answer its questions until it closes the gate.

        Raises:
            GateError: the engine broke the protocol.
        """
        reader, writer = await asyncio.open_unix_connection(
            sock=self._sock, limit=frames.MAX_FRAME + frames.LENGTH.size
        )
        try:
            writer.write(frames.encode(self._hello))
            await writer.drain()
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # The engine is gone; whoever watches the process says why.
        except frames.FrameError as error:
            raise GateError(str(error)) from error
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await _read(reader)
        if not isinstance(first, frames.EngineHello) or first.protocol != frames.PROTOCOL:
            spoken = first.protocol if isinstance(first, frames.EngineHello) else "no"
            raise GateError(f"the engine speaks {spoken} gate protocol, this broker speaks {frames.PROTOCOL}")
        self._on_hello(first)
        handled = 0
        while True:
            self._handle(await _read(reader), writer)
            await writer.drain()
            handled += 1
            if handled % _YIELD_AFTER == 0:
                await asyncio.sleep(0)

    def _handle(self, frame: frames.EngineFrame, writer: asyncio.StreamWriter) -> None:
        match frame:
            case frames.Question():
                self._answer(frame, writer)
            case frames.Refusal():
                self.counters.refused[frame.cause] = self.counters.refused.get(frame.cause, 0) + 1
                self._on_refusal(frame)
            case frames.Ready() if not self.ready.done():
                self.ready.set_result(frame.ports)
            case _:
                raise GateError(f"the engine sent {type(frame).__name__} out of turn")

    def _answer(self, question: frames.Question, writer: asyncio.StreamWriter) -> None:
        if self._clock() * 1000 >= question.deadline:
            self.counters.expired += 1
            return
        verdict = self._decide(frames.request_of(question))
        generation = self._hello.generation
        try:
            answer = frames.encode(frames.wire_verdict(verdict, question_id=question.id, generation=generation))
        except frames.FrameError:
            self.counters.oversized += 1
            answer = frames.encode(frames.WireVerdict(id=question.id, generation=generation, allow=False))
        writer.write(answer)
        self.counters.answered += 1


async def _read(reader: asyncio.StreamReader) -> frames.EngineFrame:
    (length,) = frames.LENGTH.unpack(await reader.readexactly(frames.LENGTH.size))
    if not 0 < length <= frames.MAX_FRAME:
        raise frames.FrameError(f"a frame of {length} bytes, allowed are 1 to {frames.MAX_FRAME}")
    return frames.decode(await reader.readexactly(length))
