"""Counts sessions at intervals: what only all of them together tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from choria_broker.access.expiring import expiring
from choria_broker.access.provisioning import PROVISIONER_USER
from choria_broker.access.session import Session
from choria_broker.access.waiting import Waiting, waiting
from choria_broker.background import beside
from choria_broker.errors import BrokerError
from choria_broker.log.structured import component
from choria_broker.sessions.documents import Found
from choria_broker.settings.accounts import PROVISIONING_ACCOUNT
from choria_broker.settings.broker import Settings

REST = 200.0
"""How many times longer than a count takes there is none: it is not to take more than half a percent of a core."""


class Census:
    """Counts the sessions of one broker.

    Args:
        sessions: lists those that are connected.
        find: tells where in the cluster somebody is.
        settings: tells what is in force.
        interval: seconds between two counts, at least.
        clock: Unix time in seconds.

    Attributes:
        waiting: nodes that wait for provisioning, as counted last.
        expiring: sessions whose token ends within a day, by organization and key of the issuer.
    """

    def __init__(
        self,
        sessions: Callable[[], Awaitable[tuple[Session, ...]]],
        find: Callable[[str], Awaitable[Found]],
        settings: Callable[[], Settings],
        interval: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is counted yet."""
        self._sessions = sessions
        self._find = find
        self._settings = settings
        self._interval = interval
        self._clock = clock
        self._rest = REST
        self._log = component("statistics")
        self.waiting = Waiting()
        self.expiring: Mapping[tuple[str, str], int] = {}

    @property
    def provisioning(self) -> Waiting | None:
        """Who waits for provisioning; None on a broker that has none."""
        return self.waiting if PROVISIONING_ACCOUNT in self._settings().account_names else None

    def counted(self) -> AbstractAsyncContextManager[object]:
        """Count as long as the context lasts; enter it when the engine is ready."""
        return beside(self._count_regularly(), name="census")

    async def _count_regularly(self) -> None:
        while True:
            begun = time.perf_counter()
            try:
                await self.count()
            except BrokerError as error:
                self._log.debug("Could not count the sessions", why=str(error))
            took = time.perf_counter() - begun
            await asyncio.sleep(max(self._interval, took * self._rest))

    async def count(self) -> None:
        """Count once.

        Raises:
            NotReadyError: the engine does not answer.
        """
        sessions = await self._sessions()
        self.expiring = expiring(sessions, self._clock())
        self.waiting = waiting(sessions, self.waiting, self._clock())
        if self.waiting.asks:
            await self._ask_others()

    async def _ask_others(self) -> None:
        """Look for a provisioner on other brokers: one is enough for all that share the account."""
        found = await self._find(PROVISIONER_USER)
        there = any(
            each.account == PROVISIONING_ACCOUNT and each.username == PROVISIONER_USER
            for broker in found.brokers
            for each in broker.connected
        )
        self.waiting = self.waiting.answered(found=there, silent=not found.whole)
