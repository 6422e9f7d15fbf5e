"""Choria Streams in the life of a broker: what happens before the engine starts, and once it is ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager

from choria_broker.background import beside
from choria_broker.errors import ConfigurationError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding, blocking
from choria_broker.streams.absence import Absence
from choria_broker.streams.keeper import Connect, Keeper, Timers
from choria_broker.streams.ledger import Ledger
from choria_broker.streams.safekeeping import Safekeeping, for_want_of_room
from choria_broker.streams.standard import Plan
from choria_broker.streams.store import no_room, store_findings
from choria_broker.streams.trouble import Trouble
from choria_broker.streams.use import use_of

Wanted = tuple[Plan, tuple[str, ...]]
"""What is to become of the standard streams of an account, and the accounts that have them."""


class ChoriaStreams:
    """Everything a broker does about streams; nothing when they are off.

    Attributes:
        ledger: the states of the standard streams, and troubles with the store.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: Wanted,
        connect: Connect,
        *,
        timers: Timers | None = None,
    ) -> None:
        """Enter the standard streams in the ledger.

        Args:
            settings: what the broker was told; its identity and store stay as they are until a restart.
            wanted: what is to become of the standard streams.
            connect: connects to an account, by its name.
            timers: other deadlines than the usual ones.
        """
        self._settings = settings
        self._log = component("streams")
        self._connect = connect
        self._timers = timers
        self.ledger = Ledger()
        store = settings.network.streams.store
        partly = bool(settings.network.cluster.left_out)
        self._safekeeping = Safekeeping(store, use_of(settings), partly=partly) if store else None
        self._absence = Absence(store, connect, self.ledger.forget, timers) if store else None
        self._changed = asyncio.Event()
        self._wanted = wanted
        self._keeper = Keeper(*wanted, connect, self.ledger, timers)

    def apply(self, wanted: Wanted) -> None:
        """Take over what comes into force; streams that are to be otherwise are made or updated."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._keeper = Keeper(*wanted, self._connect, self.ledger, self._timers)
            self._changed.set()

    async def before_engine(self, known: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
        """Look the store over, and prepare it.

        Args:
            known: what was found while the settings were read.

        Returns:
            What somebody should look at.

        Raises:
            ConfigurationError: the engine cannot use the store, or would delete something in it.
        """
        if self._safekeeping is None:
            return ()
        findings = await asyncio.to_thread(store_findings, self._settings, known)
        if blocking(findings):
            raise ConfigurationError(findings)
        try:
            self._note_all(await asyncio.to_thread(self._safekeeping.prepare))
        except OSError as error:
            if for_want_of_room(error):
                raise ConfigurationError((no_room(self._settings, error.strerror or str(error)),)) from error
            self._log.error(
                "Cannot create the directory for streams that the engine would otherwise delete", why=str(error)
            )
        for finding in findings:
            self._log.warning(str(finding), code=finding.code)
        return findings

    def hear(self, line: str) -> None:
        """Take a line of the engine's log."""
        trouble = self.ledger.hear(line)
        if trouble and self._absence:
            self._absence.look_into(trouble)

    @contextlib.asynccontextmanager
    async def kept(self, *, ready: bool) -> AsyncIterator[None]:
        """Make and update the standard streams, as long as the context lasts.

        Args:
            ready: the engine is; False when the broker is to stop before that, and nothing is done.
        """
        if not ready:
            yield
            return
        async with beside(self._keep(), "standard streams"), self._looking_into_absence():
            yield

    def _looking_into_absence(self) -> AbstractAsyncContextManager[object]:
        if not self._absence:
            return contextlib.nullcontext()
        return beside(self._absence.run(), "streams that were deleted meanwhile")

    async def _keep(self) -> None:
        while True:
            self._changed.clear()
            async with beside(self._keeper.run(), "keeper of the standard streams"):
                await self._changed.wait()

    def remember(self, succession: Succession) -> None:
        """Tell the next program what is entered in the ledger."""
        self.ledger.remember(succession)

    def engine_ended(self) -> None:
        """Put away what was prepared."""
        if self._safekeeping:
            self._safekeeping.leave()

    def _note_all(self, troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            self.ledger.note(trouble)
