"""The broker's side of the gate: answers the engine's questions in order, each before its deadline."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import cast

from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import Verdict
from choria_broker.engine import frames
from choria_broker.engine.counters import GateCounters
from choria_broker.errors import GateError, NotReadyError

Decide = Callable[[ConnectRequest], Verdict]
"""Answers one request at once; it must not block and must not raise."""

_BATCH = 64
"""Frames handled in a row before other tasks of the loop get their turn."""


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
        self._greeted = False
        self._transport: asyncio.Transport | None = None
        self._reloads: dict[int, asyncio.Future[str]] = {}
        self._last_reload = 0

    async def run(self) -> None:
        """Greet the engine and answer its questions until it closes the gate.

        Raises:
            GateError: the engine broke the protocol.
        """
        wire = _Wire(self._receive)
        transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: wire, sock=self._sock)
        try:
            self._transport = transport
            transport.write(frames.encode(self._hello))
            await wire.ended
        except OSError:
            return  # The engine is gone; whoever watches the process says why.
        except frames.FrameError as error:
            raise GateError(str(error)) from error
        finally:
            self._transport = None
            transport.abort()
            for answer in self._reloads.values():
                answer.cancel()

    async def reload(self, deadline: float) -> str:
        """Have the engine read its configuration file again.

        Args:
            deadline: seconds to wait for it.

        Returns:
            Why nothing of the file came into force; empty when it is in force.

        Raises:
            NotReadyError: there is no engine, or it did not answer in time.
        """
        if self._transport is None or not self.ready.done():
            raise NotReadyError("the engine is not running")
        self._last_reload += 1
        number = self._last_reload
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reloads[number] = answer
        self._transport.write(frames.encode(frames.Reload(number)))
        try:
            await asyncio.wait({answer}, timeout=deadline)
            if not answer.done():
                raise NotReadyError(f"the engine did not say within {deadline:.0f} s what came of the reload")
            if answer.cancelled():
                raise NotReadyError("the engine ended before it said what came of the reload")
            return answer.result()
        finally:
            del self._reloads[number]

    def _receive(self, payload: bytes) -> bytes:
        """Handle one frame and return what to answer, which may be nothing."""
        frame = frames.decode(payload)
        if not self._greeted:
            self._greet(frame)
            return b""
        match frame:
            case frames.Question():
                return self._answer(frame)
            case frames.Refusal():
                self.counters.refused[frame.cause] = self.counters.refused.get(frame.cause, 0) + 1
                self._on_refusal(frame)
            case frames.Ready() if not self.ready.done():
                self.ready.set_result(frame.ports)
            case frames.Reloaded() if frame.id <= self._last_reload:
                waiting = self._reloads.get(frame.id)
                if waiting and not waiting.done():
                    waiting.set_result(frame.problem)
            case _:
                raise GateError(f"the engine sent {type(frame).__name__} out of turn")
        return b""

    def _greet(self, frame: frames.EngineFrame) -> None:
        if not isinstance(frame, frames.EngineHello) or frame.protocol != frames.PROTOCOL:
            spoken = frame.protocol if isinstance(frame, frames.EngineHello) else "no"
            raise GateError(f"the engine speaks {spoken} gate protocol, this broker speaks {frames.PROTOCOL}")
        self._greeted = True
        self._on_hello(frame)

    def _answer(self, question: frames.Question) -> bytes:
        if self._clock() * 1000 >= question.deadline:
            self.counters.expired += 1
            return b""
        verdict = self._decide(frames.request_of(question))
        asked = question.deadline - self._hello.answer_within_ms
        self.counters.latency.add(self._clock() - asked / 1000)
        generation = self._hello.generation
        self.counters.answered += 1
        try:
            return frames.encode(frames.wire_verdict(verdict, question_id=question.id, generation=generation))
        except frames.FrameError:
            self.counters.oversized += 1
            return frames.encode(frames.WireVerdict(id=question.id, generation=generation, allow=False))


class _Wire(asyncio.Protocol):
    """Cuts what arrives into frames, hands them on, and writes the answers of a batch at once.

    Not more than a batch is held besides what the loop read in one go: while there is work, or while the engine does
    not take answers, nothing more is read.
    """

    def __init__(self, receive: Callable[[bytes], bytes]) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._writable = True
        self._paused = False
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream socket has a stream's transport; other loops than asyncio's own do not derive theirs from its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._work()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)

    def _work(self) -> None:
        """Handle one batch; a longer queue is left for the next turn of the loop, so that other tasks get theirs."""
        transport = self._transport
        if transport is None or self.ended.done() or not self._taken():
            return
        try:
            answers = [self._receive(payload) for payload in self._take()]
            more = self._complete()
        except (frames.FrameError, GateError) as error:
            self._end(error)
            return
        transport.write(b"".join(answers))
        taken = self._taken()
        self._read(transport, wanted=taken and not more)
        if more and taken:
            self._loop.call_soon(self._work)

    def _taken(self) -> bool:
        """Whether the engine takes answers; writing one can change that."""
        return self._writable

    def _read(self, transport: asyncio.Transport, *, wanted: bool) -> None:
        if wanted and self._paused:
            transport.resume_reading()
        elif not wanted and not self._paused:
            transport.pause_reading()
        self._paused = not wanted

    def _take(self) -> Iterator[bytes]:
        """Take up to a batch of complete frames out of the buffer."""
        start = 0
        for _ in range(_BATCH):
            end = self._frame_end(start)
            if end is None or end > len(self._buffer):
                break
            yield bytes(self._buffer[start + frames.LENGTH.size : end])
            start = end
        del self._buffer[:start]

    def _complete(self) -> bool:
        """Whether another frame lies ready."""
        end = self._frame_end(0)
        return end is not None and end <= len(self._buffer)

    def _frame_end(self, start: int) -> int | None:
        """Where the frame that begins at a place ends, None while its length is not known."""
        if len(self._buffer) - start < frames.LENGTH.size:
            return None
        (length,) = frames.LENGTH.unpack_from(self._buffer, start)
        if not 0 < length <= frames.MAX_FRAME:
            raise frames.FrameError(f"a frame of {length} bytes, allowed are 1 to {frames.MAX_FRAME}")
        return start + frames.LENGTH.size + int(length)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
