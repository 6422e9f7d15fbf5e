"""The broker's side of the gate: answers the engine's questions in order, each before its deadline.

How it works; ``engine/gate.go`` is the other side.

**States.** A gate lives as long as its engine, and goes one way only:

======== ==================================== ================================================================
state    begins                               the engine may send
======== ==================================== ================================================================
new      with the process                     ``hello``, nothing else before it
starting with the engine's ``hello``          ``question``, ``admitted``, ``refusal``, ``losses``, ``crowd``,
                                              ``signings``, once ``ready``
ready    with ``ready``                       the same without ``ready``, and ``moving``; ``reloaded``, ``drained``,
                                              ``authorities``, ``listed``, ``ended`` as answers to calls
ended    with the end of the socket, an error nothing
======== ==================================== ================================================================

The broker sends its own ``hello`` at once, without waiting for the engine's, one ``verdict`` at most for each question,
and calls (``reload``, ``authorities``, ``drain``, ``sessions``, ``end``) once the engine is ready. Anything out of turn
is a ``GateError``, which ends the broker and so the engine: two programs that misunderstand each other must not decide
about connections.

**What a late or lost answer means.** The engine lets nobody in without a verdict. So a verdict that is not given, not
in time, not understood or lost refuses its connection, and nothing has to be sent again:

* A question that is read after its deadline is counted and not decided: the engine has refused it by then.
* A verdict that comes after the deadline, or twice, or for no question, is counted by the engine and ignored.
* A call that is not answered in time fails. What came of it is not known; its late answer is dropped.
* The end of the gate is no error here: who watches the process knows why. Calls that wait fail.

**Flow.** Questions are answered in the order in which they came, in batches, so that other tasks get their turn. While
the engine does not take answers, nothing more is read; questions wait in the engine then, which bounds them and takes
back those whose time is over.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import Callable
from typing import Any

import msgspec

from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import Verdict
from choria_broker.engine.authorities import Count
from choria_broker.engine.counters import GateCounters
from choria_broker.engine.crowding import Crowding
from choria_broker.engine.events import Moving, Ports, Queue, Refusal, Signings, Told, Versions
from choria_broker.engine.gate import codec, frames
from choria_broker.engine.gate.calls import Calls
from choria_broker.engine.gate.sessions import SessionCalls
from choria_broker.engine.gate.wire import Wire
from choria_broker.engine.held import HeldGate
from choria_broker.engine.outside.notices import TEXT as UNSIGNED
from choria_broker.engine.outside.notices import Unsigned
from choria_broker.engine.storms import Storms
from choria_broker.errors import GateError, NotReadyError
from choria_broker.log.structured import component

_log = component("access")

Decide = Callable[[ConnectRequest], Verdict]
"""Answers one request at once; it must not block and must not raise."""

_LOOK_AGAIN = 0.002
"""Seconds between two looks whether the engine has taken everything."""


class Gate:
    """One engine's gate.

    Args:
        sock: the broker's end of the socket pair; the gate closes it.
        hello: the broker's first frame.
        decide: the policy.
        told: who is told of what else the engine says.
        clock: Unix time in seconds, the clock the engine's deadlines are of.
        held: where another program stopped; the engine was greeted then, and is ready.

    Attributes:
        ready: done with the engine's ports when every listener is open.
        counters: what happened so far.
        sessions: asks about sessions, and ends some.
    """

    def __init__(
        self,
        sock: socket.socket,
        hello: frames.Hello,
        decide: Decide,
        told: Told,
        clock: Callable[[], float] = time.time,
        held: HeldGate | None = None,
    ) -> None:
        """Prepare the gate; nothing is sent before ``run``."""
        self._sock = sock
        self._hello = hello
        self._generation = hello.generation
        self._decide = decide
        self._told = told
        self._clock = clock
        self.ready: asyncio.Future[Ports] = asyncio.get_running_loop().create_future()
        self.counters = GateCounters()
        self._crowding = Crowding()
        self._unsigned = Unsigned()
        self._storms = Storms()
        self._greeted = False
        self._transport: asyncio.Transport | None = None
        self._reloads: Calls[str] = Calls()
        self._authorities: Calls[tuple[Count, ...]] = Calls()
        self.sessions = SessionCalls(self._send)
        self._wire = Wire(self._receive)
        if held:
            self._go_on(held)

    @property
    def _calls(self) -> dict[str, Calls[Any]]:
        """Every kind of call, by its name."""
        found = {**vars(self), **vars(self.sessions)}
        return {name: each for name, each in found.items() if isinstance(each, Calls)}

    def _go_on(self, held: HeldGate) -> None:
        """Begin where another program stopped."""
        self._greeted = True
        self._generation = held.generation
        self._hello = msgspec.structs.replace(self._hello, answer_within_ms=held.answer_within_ms)
        self.counters = held.counters
        for name, calls in self._calls.items():
            calls.begin_after(held.calls.get(name, 0))
        self._wire.begin_with(held.unread)
        self.ready.set_result(Ports(**held.ports))

    async def hold(self, deadline: float) -> HeldGate:
        """Stop between two frames, so that another program can go on; until ``go_on``, nothing is read.

        Args:
            deadline: seconds the engine has for answers to calls, and to take what was written.

        Raises:
            NotReadyError: it needed longer, or is not running; the gate goes on.
        """
        late = False
        try:
            async with asyncio.timeout(deadline):
                for calls in self._calls.values():
                    await calls.close()
                self._wire.hold()
                while self._open and self._open.get_write_buffer_size():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_LOOK_AGAIN)
        except TimeoutError:
            late = True
        if late or self._open is None or not self.ready.done():
            self.go_on()
            raise NotReadyError("the engine does not read what the broker sends")
        return HeldGate(
            generation=self._generation,
            answer_within_ms=self._hello.answer_within_ms,
            calls={name: calls.last for name, calls in self._calls.items()},
            ports=dict(self.ready.result().told),
            counters=self.counters,
            unread=self._wire.unread,
        )

    def go_on(self) -> None:
        """Take back what was held: nobody else has read anything."""
        for calls in self._calls.values():
            calls.closed = False
        self._wire.go_on()

    def duplicate(self) -> socket.socket:
        """Return the broker's end once more, for the program that goes on with a gate that is held."""
        return self._sock.dup()

    async def run(self) -> None:
        """Greet the engine, unless that was done before, and answer its questions until it closes the gate.

        Raises:
            GateError: the engine broke the protocol.
        """
        wire = self._wire
        known = self._greeted  # The engine's own greeting may arrive while the connection is made.
        transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: wire, sock=self._sock)
        try:
            self._transport = transport
            if not known:
                transport.write(codec.encode(self._hello))
            wire.begin()
            await wire.ended
        except OSError:
            return  # The engine is gone; whoever watches the process says why.
        except codec.FrameError as error:
            raise GateError(str(error)) from error
        finally:
            self._transport = None
            transport.abort()
            self._reloads.end()
            self._authorities.end()
            self.sessions.stop()

    def renew(self, generation: int) -> None:
        """Tell the engine that the policy has changed; what is decided from now on is decided by the new one.

        Args:
            generation: number of the policy, more than that of the one before.
        """
        self._generation = generation
        if self._open:
            self._open.write(codec.encode(frames.Generation(generation)))

    async def reload(self, hello: frames.Hello, deadline: float) -> str:
        """Have the engine read its configuration file again.

        Args:
            hello: takes the place of the first frame.
            deadline: seconds to wait for it; from then on the engine lets it be.

        Returns:
            Why nothing of the file came into force; empty when it is in force.

        Raises:
            NotReadyError: there is no engine, or it did not answer in time.
        """
        call = functools.partial(frames.Reload, hello=hello, deadline=self._until(deadline))
        return await self._reloads.make(functools.partial(self._send, call), deadline, "the reload")

    async def revoke(self, file: str, deadline: float) -> str:
        """Have the engine read anew which certificates are revoked, and end the links of those.

        Args:
            file: says which.
            deadline: seconds to wait.

        Returns:
            The problem that kept it from doing so; empty when there is none.

        Raises:
            NotReadyError: there is no engine, or it did not answer in time.
        """
        call = functools.partial(frames.Revoked, revoked=file, deadline=self._until(deadline))
        return await self._reloads.make(functools.partial(self._send, call), deadline, "the revocation")

    async def authorities(self, deadline: float) -> tuple[Count, ...]:
        """Have the engine count its connections by the CAs that their certificates are of.

        Args:
            deadline: seconds to wait for it.

        Raises:
            NotReadyError: there is no engine, or it did not answer in time.
        """
        call = functools.partial(self._send, frames.AskAuthorities)
        return await self._authorities.make(call, deadline, "the count")

    async def drain(self, order: frames.DrainOrder, deadline: float) -> str:
        """Have the engine move its connections and leaders elsewhere, or take that back.

        Args:
            order: what it is to do.
            deadline: seconds to wait until it has begun, or is taken back.

        Returns:
            Why it does not; empty when it does.

        Raises:
            NotReadyError: there is no engine, or it did not answer in time.
        """
        call = functools.partial(frames.Drain, order=order)
        return await self._reloads.make(functools.partial(self._send, call), deadline, "the drain")

    def _until(self, deadline: float) -> int:
        return int((self._clock() + deadline) * 1000)

    def _send(self, call: Callable[[int], frames.BrokerFrame], number: int) -> None:
        """Send a call of this number to an engine that is ready."""
        if self._open is None or not self.ready.done():
            raise NotReadyError("the engine is not running")
        self._open.write(codec.encode(call(number)))

    @property
    def _open(self) -> asyncio.Transport | None:
        """The connection to an engine that has not closed it; ``run`` hears of that a moment later."""
        return None if self._wire.ended.done() else self._transport

    def _receive(self, payload: bytes) -> bytes:
        """Handle one frame and return what to answer, which may be nothing."""
        frame = codec.decode(payload)
        if not self._greeted:
            self._greet(frame)
            return b""
        try:
            return self._handle(frame)
        except (GateError, codec.FrameError):
            raise
        except Exception:  # noqa: BLE001 - one odd connection must not end the broker, and with it all others
            _log.exception(
                "The broker could not handle a frame of its engine; please report this", frame=type(frame).__name__
            )
            return self._refusal(frame.id) if isinstance(frame, frames.Question) else b""

    def _handle(self, frame: frames.EngineFrame) -> bytes:
        match frame:
            case frames.Question():
                return self._answer(frame)
            case frames.Admitted():
                self._told.admitted(frame.connections, frame.again)
            case frames.Refusal():
                self.counters.refused[frame.cause] = self.counters.refused.get(frame.cause, 0) + 1
                self._told.refused(Refusal(frame.cause, frame.connection_id, frame.address))
            case frames.Losses() | frames.Crowd() | frames.Signings() | frames.Waiting():
                self._count(frame)
            case frames.Ready() if not self.ready.done():
                self.ready.set_result(Ports(**frame.ports))
            case frames.Moves():
                self.counters.moving = Moving(**msgspec.structs.asdict(frame))
            case _ if self._answered(frame):
                pass
            case _:
                raise GateError(f"the engine sent an unexpected {type(frame).__name__}")
        return b""

    def _count(self, frame: frames.Losses | frames.Crowd | frames.Signings | frames.Waiting) -> None:
        """Take over what the engine has counted, and say what is to be said of it."""
        match frame:
            case frames.Losses():
                self.counters.dropped = {
                    "questions": frame.questions,
                    "reports": frame.reports,
                    "engine_log_lines": frame.log_lines,
                }
            case frames.Crowd():
                self.counters.turned_away = msgspec.structs.asdict(frame)
                for notice in self._crowding.notices(self.counters.turned_away, self._clock()):
                    _log.warning(notice.text, **notice.fields)
            case frames.Signings():
                self.counters.signings = Signings(**msgspec.structs.asdict(frame))
                if unsigned := self._unsigned.notice(self.counters.signings, self._clock()):
                    _log.warning(UNSIGNED, **unsigned.fields)
            case frames.Waiting():
                self.counters.queue = Queue(**msgspec.structs.asdict(frame))
                for storm in self._storms.notices(self.counters.queue, self._clock()):
                    _log.warning(storm.text, **storm.fields)

    def _answered(self, frame: frames.EngineFrame) -> bool:
        """Hand an answer to its call; False when it is none, or nobody ever asked."""
        match frame:
            case frames.Reloaded() | frames.Drained():
                return self._reloads.answer(frame.id, frame.problem)
            case frames.Authorities():
                return self._authorities.answer(frame.id, frame.counts)
            case frames.Listed() | frames.Ended():
                return self.sessions.answer(frame)
        return False

    def _greet(self, frame: frames.EngineFrame) -> None:
        if not isinstance(frame, frames.EngineHello) or frame.protocol != frames.PROTOCOL:
            spoken = frame.protocol if isinstance(frame, frames.EngineHello) else "unknown"
            raise GateError(f"the engine speaks gate protocol {spoken}, this broker {frames.PROTOCOL}")
        self._greeted = True
        self._told.greeted(Versions(frame.engine, frame.nats, frame.protocol))

    def _answer(self, question: frames.Question) -> bytes:
        if self._clock() * 1000 >= question.deadline:
            self.counters.expired += 1
            return b""
        request = question.request
        verdict = self._decide(request)
        asked = question.deadline - self._hello.answer_within_ms
        self.counters.latency.add(self._clock() - asked / 1000)
        generation = self._generation
        self.counters.answered += 1
        try:
            return codec.encode(
                frames.wire_verdict(verdict, question_id=question.id, generation=generation, token=request.token)
            )
        except codec.FrameError:
            self.counters.oversized += 1
            return self._refusal(question.id)

    def _refusal(self, question: int) -> bytes:
        return codec.encode(frames.WireVerdict(id=question, generation=self._generation, allow=False))
