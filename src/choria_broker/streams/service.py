"""Choria Streams in the life of a broker: what happens before the engine starts, and once it is ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from prometheus_client import CollectorRegistry

from choria_broker.config.settings import Settings
from choria_broker.errors import ConfigurationError
from choria_broker.log import component
from choria_broker.streams.keeper import Connect, Keeper, Timers
from choria_broker.streams.ledger import Ledger
from choria_broker.streams.safekeeping import Safekeeping, for_want_of_room
from choria_broker.streams.standard import plan, stream_accounts
from choria_broker.streams.store import no_room, store_problems
from choria_broker.streams.trouble import Trouble


class ChoriaStreams:
    """Everything a broker does about streams; nothing when they are off.

    Attributes:
        ledger: the states of the standard streams, and troubles with the store.
    """

    def __init__(
        self,
        settings: Settings,
        registry: CollectorRegistry,
        connect: Connect,
        *,
        accounts: tuple[str, ...] | None = None,
        timers: Timers | None = None,
    ) -> None:
        """Enter the standard streams in the ledger.

        Args:
            settings: what the broker was told.
            registry: where metrics are registered.
            connect: connects to an account, by its name.
            accounts: where the standard streams are kept; by default in Choria's own and those of organizations.
            timers: other deadlines than the usual ones.
        """
        self._settings = settings
        self._log = component("streams")
        self.ledger = Ledger(registry, settings.identity)
        store = settings.network.streams.store
        self._safekeeping = Safekeeping(store) if store else None
        accounts = stream_accounts(settings) if accounts is None else accounts
        wanted = plan(settings.network.streams, len(settings.network.cluster.peers))
        self._keeper = Keeper(wanted, accounts if store else (), connect, self.ledger, timers)

    async def before_engine(self) -> None:
        """Look the store over, and hold on to its files.

        Raises:
            ConfigurationError: the engine cannot use the store, or would delete something in it.
        """
        if self._safekeeping is None:
            return
        problems = await asyncio.to_thread(store_problems, self._settings)
        if problems:
            raise ConfigurationError(problems)
        try:
            self._note_all(await asyncio.to_thread(self._safekeeping.lay_up))
        except OSError as error:
            if for_want_of_room(error):
                raise ConfigurationError((no_room(self._settings, error),)) from error
            self._log.error("Cannot hold on to the files of streams while the engine restores them", why=str(error))

    @contextlib.asynccontextmanager
    async def kept(self, *, ready: bool) -> AsyncIterator[None]:
        """Make and update the standard streams, as long as the context lasts.

        Args:
            ready: the engine is; False when the broker is to stop before that, and nothing is done.
        """
        if not ready:
            yield
            return
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(self._keeper.run(), name="standard streams")
            try:
                yield
            finally:
                keeping.cancel()

    async def engine_ready(self) -> None:
        """Let go of the files of streams; call it as soon as the engine is ready, before clients delete any stream."""
        if self._safekeeping is None:
            return
        try:
            self._note_all(await asyncio.to_thread(self._safekeeping.settle))
        except OSError as error:
            self._log.error("Cannot put away the second names of the files of streams", why=str(error))

    def _note_all(self, troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            self.ledger.note(trouble)
