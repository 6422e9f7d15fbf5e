"""What a broker hands over to the next program, and how it goes on with what it was handed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

from choria_broker.audit.trail import Audit
from choria_broker.engine.binary import fingerprint
from choria_broker.engine.conf.render import Rendered
from choria_broker.engine.held import HeldGate
from choria_broker.engine.life import EngineLife
from choria_broker.engine.running import EngineHandlers
from choria_broker.errors import BrokerError
from choria_broker.host.apart import apart
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.reload.in_force import InForce
from choria_broker.settings.broker import Settings
from choria_broker.status.reloads import PendingRestart
from choria_broker.streams.store import found_while_running
from choria_broker.upgrade import served

if TYPE_CHECKING:
    from choria_broker.upgrade.relief import Work

_log = component("network")


class Lasting(Protocol):
    """A part of the broker that knows something which outlives the program."""

    def remember(self, succession: Succession) -> None:
        """Tell the next program."""
        ...

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has told."""
        ...


class HandOver:
    """The hand-over of one broker, in both directions.

    Args:
        engine: the engine, which stays.
        in_force: the state in force.
        parts: others who know something that stays.
        succession: what the broker has from the program before, and leaves to the next one.
    """

    def __init__(self, engine: EngineLife, in_force: InForce, parts: Sequence[Lasting], succession: Succession) -> None:
        """Have the parts go on with what was left."""
        self._engine = engine
        self._in_force = in_force
        self._parts = parts
        self.succession = succession
        for part in parts:
            part.recall(succession)

    @property
    def rendered(self) -> tuple[Settings, Rendered]:
        """What the engine is to run with: the settings, and its configuration."""
        return self._in_force.state.settings, self._in_force.state.engine

    def remember(self, succession: Succession | None = None) -> None:
        """Tell what the next program has to know.

        The parts that are being left tell their descriptors themselves.

        Args:
            succession: takes a copy in place of what is left.
        """
        succession = succession or self.succession
        served.remember(succession, self._in_force.state.settings, self._in_force.state.findings)
        for part in self._parts:
            part.remember(succession)
        self._in_force.remember(succession)
        self._engine.remember(succession)

    async def hold(self, deadline: float) -> tuple[HeldGate, socket.socket]:
        """Answer no more questions of the engine, for another process to go on with them.

        Args:
            deadline: seconds the engine has to take what it was told.

        Returns:
            What the other process has to know, and the gate's socket.

        Raises:
            NotReadyError: the engine did not take it; nothing has changed.
        """
        return await self._engine.hold(deadline)

    def go_on(self) -> None:
        """Answer questions again: nobody else has."""
        self._engine.go_on()

    def check_engine(self) -> None:
        """Have the engine that the program before has left judge the configuration that it would get.

        Raises:
            EngineConfigError: it refuses.
            OSError: it cannot be asked.
        """
        self._engine.check(self._in_force.state.engine.text)

    @contextlib.asynccontextmanager
    async def engine_running(self, told: EngineHandlers, audit: Audit, stop: asyncio.Event) -> AsyncIterator[None]:
        """Run the engine, or go on with the one that the program before has left, as long as the context lasts.

        Args:
            told: who is told what it has to say.
            audit: takes in what the stand-in has decided.
            stop: set when the broker is to stop.
        """
        # From here to the gate nothing is waited for: the stand-in answers no more.
        work = self._relieved()
        async with self._engine.running(*self.rendered, told, stop, work.held if work else None):
            if work:
                audit.take_in(work.decisions, work.counted)
                told.admitted(work.admitted, work.again)
                for refusal in work.refusals:
                    told.refused(refusal)
            yield

    def _relieved(self) -> Work | None:
        if not self.succession.follows:
            return None
        from choria_broker.upgrade.relief import relieved  # noqa: PLC0415 - after an upgrade only

        return relieved(self.succession)

    async def arrive(self) -> None:
        """Have an engine that was left take over what this program made of the configuration, and look at its store."""
        self.succession.close_unclaimed()
        try:
            await self._in_force.inherit(self._engine)
        except (BrokerError, OSError) as error:
            _log.error("The engine keeps the configuration from before the upgrade", why=str(error))
        settings = self._in_force.state.settings
        self._in_force.add(await apart(lambda: found_while_running(settings)))

    async def older_engine(self) -> tuple[PendingRestart, ...]:
        """Tell whether an engine that was left is another than the installed one, which only a restart takes over."""
        if not self.succession.follows:
            return ()
        running, installed = self._engine.executables
        try:
            old, new = await asyncio.to_thread(fingerprint, running), await asyncio.to_thread(fingerprint, installed)
        except OSError as error:
            _log.warning("Cannot tell whether the engine is the installed one", why=str(error))
            return ()
        return () if old == new else (PendingRestart("engine", old, new, str(installed), 0),)
