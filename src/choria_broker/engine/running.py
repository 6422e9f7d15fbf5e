"""A running engine from its start to its end: the process, its gate and its log belong together."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from choria_broker.access.session import Again, Busy, BusySession, Departed, Session
from choria_broker.background import beside
from choria_broker.engine.authorities import Count
from choria_broker.engine.conf.render import Rendered
from choria_broker.engine.configuration import Configuration
from choria_broker.engine.counters import GateCounters
from choria_broker.engine.events import Ports, Refusal, Told, Versions
from choria_broker.engine.gate import frames
from choria_broker.engine.gate.gate import Decide, Gate
from choria_broker.engine.held import HeldGate
from choria_broker.engine.port import Engine
from choria_broker.engine.process import EngineProcess, Output
from choria_broker.errors import DrainError, EngineDiedError, GateError, NotReadyError
from choria_broker.host.succession import Succession
from choria_broker.settings.broker import Settings
from choria_broker.values import Discreet

_FIRST_GENERATION = 1
_COUNTED_WITHIN = 2.0


class Limits(msgspec.Struct, frozen=True):
    """Deadlines and bounds of a running engine; tests inject others.

    Attributes:
        ready: seconds the engine has to open its listeners.
        answer_ms: milliseconds a connection has to be decided, counted from its CONNECT.
        questions: most connections waiting for their verdict at once.
        last_words: seconds to wait for the last log lines of an engine that died.
        reload: seconds the engine has to take over a changed configuration.
        gone: seconds the engine has to end once it closed the gate; a sound one gives itself 10.
        drain: seconds the engine has to begin a drain, or to take it back.
        sessions: seconds the engine has to tell of a page of sessions, or to end some.
    """

    ready: float = 60.0
    answer_ms: int = 1500
    questions: int = 4096
    last_words: float = 1.0
    reload: float = 20.0
    gone: float = 15.0
    drain: float = 5.0
    sessions: float = 10.0


def hello_for(settings: Settings, rendered: Rendered, secret: str, limits: Limits, revoked: str) -> frames.Hello:
    """Write the first frame on the gate of an engine: what its file cannot say.

    Args:
        settings: what the broker was told.
        rendered: the engine's configuration.
        secret: opens the bridge.
        limits: deadlines and bounds.
        revoked: file that says which certificates of other brokers are revoked.
    """
    operator, questions = frames.Authentication.OPERATOR, frames.Authentication.QUESTIONS
    cluster = settings.network.cluster
    return frames.Hello(
        authentication=operator if settings.network.operator else questions,
        generation=_FIRST_GENERATION,
        optional_client_certificates=rendered.optional_client_certificates,
        bridge_secret=secret,
        answer_within_ms=limits.answer_ms,
        max_questions=limits.questions,
        max_unauthenticated=settings.network.max_unauthenticated,
        max_handshakes=max(settings.network.max_handshakes, 0),
        mappings=tuple((each.source, each.destination) for each in settings.network.mappings),
        websocket_origins=settings.network.websocket.origins,
        websocket_hosts=_own_hosts(settings),
        cluster_members=cluster.expected if cluster.unreachable else 0,
        cluster_hosts=tuple(filter(None, cluster.left_out)),
        revoked=revoked,
    )


def _own_hosts(settings: Settings) -> tuple[str, ...]:
    """List names of this broker; those in its certificate the engine knows itself."""
    told = settings.network.websocket.advertise or settings.network.public_url
    host = told.rpartition(":")[0] or told
    return tuple(dict.fromkeys(name for name in (settings.identity, host) if name))


class LaunchSpec(Discreet, frozen=True):
    """What an engine is started with.

    Attributes:
        binary: the executable.
        text: its configuration.
        write: replaces its configuration file as a whole, and returns the path.
        hello: the first frame on its gate.
        grace: tells how many seconds it has to end when it is asked to.
        listeners: listening sockets that it takes over, by the option that tells it of each.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"text"})

    binary: Path
    text: str
    write: Callable[[str], Path]
    hello: frames.Hello
    grace: Callable[[], float]
    listeners: Mapping[str, socket.socket]


class EngineHandlers(msgspec.Struct, frozen=True):
    """Who is told what the engine has to say.

    Attributes:
        decide: answers its questions.
        greeted: told once what the engine says of itself.
        refused: told of each refusal the engine decided itself.
        admitted: told who is in where the verdict alone does not tell, as in ``events.Told``.
        said: given level and text of each line of its log, returns what is logged of it; None for nothing.
        ending: called when the engine is asked to end.
        killing: called before an engine that did not end in time is killed.
    """

    decide: Decide
    greeted: Callable[[Versions], None]
    refused: Callable[[Refusal], None]
    admitted: Callable[[Iterable[int], Iterable[Again]], None]
    said: Callable[[int, str], str | None]
    ending: Callable[[], None]
    killing: Callable[[], None]


class RunningEngine(msgspec.Struct):
    """An engine that was started; see ``running``.

    Attributes:
        configuration, ended_in_time: as in ``port.Engine``, which it is.
        output: its error output, once it is left to the next program.
    """

    process: EngineProcess
    gate: Gate
    configuration: Configuration
    limits: Limits
    ended_in_time: bool = True
    output: Output | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Its process has not ended."""
        return self.process.alive

    @property
    def counters(self) -> GateCounters:
        """What happened at its gate so far."""
        return self.gate.counters

    async def hold(self, deadline: float) -> HeldGate:
        """Stop using its gate between two frames; see ``port.Engine``."""
        return await self.gate.hold(deadline)

    def go_on(self) -> None:
        """Use the gate again: no other program has."""
        self.gate.go_on()

    def gate_socket(self) -> socket.socket:
        """Return this end of its gate once more, for the program that goes on with it."""
        return self.gate.duplicate()

    def renew(self, generation: int) -> None:
        """Say that the policy has changed, to this number; what is decided from now on is decided by the new one."""
        self.gate.renew(generation)

    async def authorities(self) -> tuple[Count, ...]:
        """Count connections by the CAs that their certificates are of.

        Raises:
            NotReadyError: it did not answer in time.
        """
        return await self.gate.authorities(_COUNTED_WITHIN)

    async def drain(self, serial: int, over: float | None) -> None:
        """Begin to move connections and leaders elsewhere, or take that back; see ``port.Engine``."""
        order = frames.DrainOrder(round((over or 0.0) * 1000), off=over is None, serial=serial)
        if problem := await self.gate.drain(order, self.limits.drain):
            raise DrainError(problem)

    async def sessions(self, *, traffic: bool = False) -> tuple[Session, ...]:
        """List the connections that were let in; see ``port.Engine``."""
        return await self.gate.sessions.listed(Session, self.limits.sessions, traffic=traffic)

    async def busiest(self, most: int, by: str) -> tuple[tuple[BusySession, ...], Busy]:
        """List the sessions over which most goes; see ``port.Engine``."""
        return await self.gate.sessions.busiest(most, by, self.limits.sessions)

    async def departed(self, after: int = 0) -> tuple[Departed, ...]:
        """List the sessions that have ended; see ``port.Engine``."""
        return await self.gate.sessions.listed(Departed, self.limits.sessions, after=after)

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        """End sessions at once; see ``port.Engine``."""
        return await self.gate.sessions.end(connections, reason, self.limits.sessions)

    async def ready(self, deadline: float, stop: Coroutine[Any, Any, object]) -> Ports:
        """Wait until every listener is open, or the broker is to stop; see ``port.Engine``."""
        async with beside(stop, "stop during start") as stopping:
            waited: set[asyncio.Future[Any]] = {stopping, self.gate.ready}
            done, _ = await asyncio.wait(waited, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise NotReadyError(f"broker did not become ready within {deadline:.0f} s, terminating")
        return self.gate.ready.result() if self.gate.ready in done else Ports()


class Adopted(msgspec.Struct, frozen=True):
    """An engine that the program before has left.

    Attributes:
        pid: process id.
        output: its error output.
        sock: the broker's end of its gate.
        held: where the gate was stopped.
    """

    pid: int
    output: Output
    sock: socket.socket
    held: HeldGate


@contextlib.asynccontextmanager
async def running(
    spec: LaunchSpec,
    handlers: EngineHandlers,
    limits: Limits,
    adopted: Adopted | None = None,
    succession: Succession | None = None,
) -> AsyncIterator[Engine]:
    """Start an engine, and end it in order on exit.

    Call this on the main thread, to which the kernel ties the engine's life.

    Args:
        spec: what it is started with.
        handlers: who is told what it has to say.
        limits: deadlines and bounds.
        adopted: an engine to go on with in place of starting one.
        succession: tells on exit whether the engine is left to the next program.

    Raises:
        OSError: it could not be started.
        EngineDiedError: it ended by itself.
        GateError: it broke the protocol of the gate.
    """
    if adopted:
        process, sock = EngineProcess(adopted.pid, adopted.output), adopted.sock
    else:
        process, sock = EngineProcess.start(spec.binary, spec.write(spec.text), spec.listeners)
    held, succession = adopted.held if adopted else None, succession or Succession()
    told = Told(handlers.refused, handlers.admitted, handlers.greeted)
    gate = Gate(sock, spec.hello, handlers.decide, told, held=held)
    configuration = Configuration(gate, spec.write, spec.text, limits.reload)
    engine = RunningEngine(process, gate, configuration, limits)
    async with asyncio.TaskGroup() as tasks:
        drain = tasks.create_task(process.drain(handlers.said), name="engine log")
        watch = tasks.create_task(_watch(process, drain, limits.last_words), name="engine watch")
        answering = tasks.create_task(_answer(gate, limits.gone), name="gate")
        try:
            yield engine
        finally:
            watch.cancel()
            if succession.leaving:
                engine.output = process.output()
            else:
                handlers.ending()
                engine.ended_in_time = await process.stop(spec.grace(), handlers.killing)
                await asyncio.wait({drain}, timeout=limits.last_words)
            drain.cancel()
            answering.cancel()


async def _answer(gate: Gate, patience: float) -> None:
    """Answer the engine; one that closes the gate has to end soon, for nobody decides for it any more."""
    await gate.run()
    await asyncio.sleep(patience)
    raise GateError(f"the engine closed the gate and did not end within {patience:.0f} s")


async def _watch(process: EngineProcess, drain: asyncio.Task[None], last_words: float) -> None:
    status = await process.wait()
    await asyncio.wait({drain}, timeout=last_words)
    raise EngineDiedError(status, tuple(process.last_lines))
