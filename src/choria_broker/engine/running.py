"""A running engine from its start to its end: the process, its gate and its log belong together."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from choria_broker.config.settings import Settings
from choria_broker.engine import frames
from choria_broker.engine.gate import Decide, Gate
from choria_broker.engine.process import EngineProcess
from choria_broker.engine.render import Rendered
from choria_broker.errors import EngineDiedError, NotReadyError

_FIRST_GENERATION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines and bounds of a running engine; tests inject others.

    Attributes:
        ready: seconds the engine has to open its listeners.
        answer_ms: milliseconds a connection has to be decided, counted from its CONNECT.
        questions: most connections waiting for their verdict at once.
        last_words: seconds to wait for the last log lines of an engine that died.
        reload: seconds the engine has to take over a changed configuration.
    """

    ready: float = 60.0
    answer_ms: int = 1500
    questions: int = 4096
    last_words: float = 1.0
    reload: float = 20.0


def hello_for(settings: Settings, rendered: Rendered, secret: str, limits: Limits) -> frames.Hello:
    """Write the first frame on the gate of an engine: what its file cannot say.

    Args:
        settings: what the broker was told.
        rendered: the engine's configuration.
        secret: opens the bridge.
        limits: deadlines and bounds.
    """
    operator, questions = frames.Authentication.OPERATOR, frames.Authentication.QUESTIONS
    return frames.Hello(
        authentication=operator if settings.network.operator else questions,
        generation=_FIRST_GENERATION,
        optional_client_certificates=rendered.optional_client_certificates,
        bridge_secret=secret,
        answer_within_ms=limits.answer_ms,
        max_questions=limits.questions,
        mappings=tuple((each.source, each.destination) for each in settings.network.mappings),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Orders:
    """What an engine is started with.

    Attributes:
        binary: the executable.
        configuration: its configuration file.
        hello: the first frame on its gate.
        grace: seconds it has to end when asked to.
    """

    binary: Path
    configuration: Path
    hello: frames.Hello
    grace: float


@dataclasses.dataclass(frozen=True, slots=True)
class Hearers:
    """Who is told what the engine has to say.

    Attributes:
        decide: answers its questions.
        greeted: told once what the engine says of itself.
        refused: told of each refusal the engine decided itself.
        worth_logging: tells by level and text whether a line of its log is logged.
        ending: called when the engine is asked to end.
        killing: called before an engine that did not end in time is killed.
    """

    decide: Decide
    greeted: Callable[[frames.EngineHello], None]
    refused: Callable[[frames.Refusal], None]
    worth_logging: Callable[[int, str], bool]
    ending: Callable[[], None]
    killing: Callable[[], None]


@dataclasses.dataclass(slots=True)
class RunningEngine:
    """An engine that was started; see ``running``.

    Attributes:
        pid: process id.
        gate: its gate.
        alive: tells whether its process has not ended.
        ended_in_time: False once it had to be killed.
    """

    pid: int
    gate: Gate
    alive: Callable[[], bool]
    ended_in_time: bool = True

    async def ready(self, deadline: float, stop: asyncio.Event) -> frames.Ports:
        """Wait until every listener is open, or until somebody asks the broker to stop before it is.

        Args:
            deadline: seconds to wait.
            stop: set when the broker is to stop.

        Returns:
            The ports; all 0 when the broker is to stop.

        Raises:
            NotReadyError: it took too long.
        """
        async with asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(stop.wait(), name="stop during start")
            waited: set[asyncio.Future[Any]] = {stopping, self.gate.ready}
            done, _ = await asyncio.wait(waited, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        if not done:
            raise NotReadyError(f"broker did not become ready within {deadline:.0f} s, terminating")
        return self.gate.ready.result() if self.gate.ready in done else frames.Ports()


@contextlib.asynccontextmanager
async def running(orders: Orders, hearers: Hearers, limits: Limits) -> AsyncIterator[RunningEngine]:
    """Start an engine, and end it in order on exit.

    Call this on the main thread, to which the kernel ties the engine's life.

    Raises:
        OSError: it could not be started.
        EngineDiedError: it ended by itself.
        GateError: it broke the protocol of the gate.
    """
    process, sock = await EngineProcess.start(orders.binary, orders.configuration)
    gate = Gate(sock, orders.hello, hearers.decide, hearers.refused, hearers.greeted)
    engine = RunningEngine(process.pid, gate, lambda: process.alive)
    async with asyncio.TaskGroup() as tasks:
        drain = tasks.create_task(process.drain(hearers.worth_logging), name="engine log")
        watch = tasks.create_task(_watch(process, drain, limits.last_words), name="engine watch")
        tasks.create_task(gate.run(), name="gate")
        try:
            yield engine
        finally:
            hearers.ending()
            watch.cancel()
            engine.ended_in_time = await process.stop(orders.grace, hearers.killing)
            await asyncio.wait({drain}, timeout=limits.last_words)
            drain.cancel()


async def _watch(process: EngineProcess, drain: asyncio.Task[None], last_words: float) -> None:
    status = await process.wait()
    await asyncio.wait({drain}, timeout=last_words)
    raise EngineDiedError(status, tuple(process.last_lines))
