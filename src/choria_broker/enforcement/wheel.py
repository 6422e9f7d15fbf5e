"""When sessions are to end: one wheel for all of them, which holds those that are due before long."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from choria_broker.access.session import Session

HORIZON = 600.0
"""Seconds ahead for which the wheel knows sessions; it is filled anew long before they are over."""

_BEGINNING = 2.0
"""Seconds that it takes at most from a decision until the engine has the session."""

REFILL = 240.0
"""Seconds after which it is to be filled anew."""


class Wheel:
    """Sessions by the time of their end.

    It holds who is due within ``HORIZON``, so that connections that come and go do not fill it for years.
    """

    def __init__(self) -> None:
        """Begin empty, and to be filled."""
        self._ends: list[tuple[float, int]] = []
        self._filled: float | None = None

    def __len__(self) -> int:
        """Tell how many ends it holds."""
        return len(self._ends)

    def add(self, connection: int, expires: float | None, now: float) -> None:
        """Take in a session that is just beginning; those whose end is far away come with a later filling."""
        if expires is None or expires > now + HORIZON:
            return
        heapq.heappush(self._ends, (expires, connection))
        if expires < now + _BEGINNING:
            # It may be over before the engine has it.
            heapq.heappush(self._ends, (now + _BEGINNING, connection))

    def fill(self, sessions: Iterable[Session], now: float) -> None:
        """Take in all sessions there are, in place of what it knew."""
        limit = now + HORIZON
        ends = ((each.holder.expires, each.connection) for each in sessions)
        self._ends = [(float(end), connection) for end, connection in ends if end is not None and end <= limit]
        heapq.heapify(self._ends)
        self._filled = now

    def wants_filling(self, now: float) -> bool:
        """Tell whether sessions could be due that it does not know; also after a step of the clock."""
        return self._filled is None or not self._filled <= now < self._filled + REFILL

    def due(self, now: float) -> tuple[int, ...]:
        """Take out the sessions whose time is over: a token is worth nothing from the second it expires in."""
        found = []
        while self._ends and self._ends[0][0] <= now:
            found.append(heapq.heappop(self._ends)[1])
        return tuple(found)

    def empty(self) -> None:
        """Forget everything."""
        self._ends, self._filled = [], None
