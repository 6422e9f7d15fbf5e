"""Who is connected, listed for open dashboards: one listing for all who look at about the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from choria_broker.access.session import Session
from choria_broker.ui.page import Look

_FRESH = 2.0
"""Seconds for which a listing counts as the present one."""

_REST = 100.0
"""How many times longer than it took a listing is used: looking at connections takes no more than 1 % of a core."""

_OLD = 60.0
"""Seconds after which a listing says nothing any more about what goes over connections now."""


class Roster:
    """Keeps the latest listing, and the one before, by which it is told what went over connections meanwhile.

    Args:
        sessions: lists those that are connected, with traffic.
        clock: Unix time in seconds.
    """

    def __init__(
        self, sessions: Callable[[], Awaitable[tuple[Session, ...]]], clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing is listed yet."""
        self._sessions = sessions
        self._clock = clock
        self._latest: Look | None = None
        self._until = 0.0
        self._turn = asyncio.Lock()

    async def look(self) -> Look:
        """Tell who is connected, as of a moment ago.

        Raises:
            NotReadyError: the engine does not answer.
        """
        async with self._turn:
            now = self._clock()
            before = self._latest
            if before is not None and before.time <= now < self._until:
                return before
            begun = time.perf_counter()
            sessions = await self._sessions()
            took = time.perf_counter() - begun
            recent = before is not None and 0 < now - before.time <= _OLD
            earlier = {each.connection: each for each in before.sessions} if before and recent else {}
            self._latest = Look(now, sessions, earlier, now - before.time if before and recent else 0.0)
            self._until = now + max(_FRESH, took * _REST)
            return self._latest
