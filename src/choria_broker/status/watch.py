"""Looks at the health of the broker all the time, and says when it changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from choria_broker.background import beside, happened
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.settings import durations
from choria_broker.status.changes import HealthBook, HealthChange, Left
from choria_broker.status.health import Condition, Health

_LEFT = "health"
_LEVELS = {Condition.FAILING.value: logging.ERROR, Condition.DEGRADED.value: logging.WARNING}
_MOST_SHOWN = 20
"""Reasons in one line; all are in the status."""


class HealthWatch:
    """Writes each change of health into the log, and keeps the latest.

    Args:
        health: tells the health.
        interval: seconds between two looks, unless there are news before.
        clock: Unix time in seconds.

    Attributes:
        book: the changes so far.
        heard: told of each change.
        looked: called after each look.
    """

    def __init__(self, health: Callable[[], Health], interval: float, clock: Callable[[], float] = time.time) -> None:
        """Nothing was looked at yet."""
        self.book = HealthBook()
        self.heard: Callable[[HealthChange], None] = lambda _: None
        self.looked: Callable[[], None] = lambda: None
        self._health = health
        self._interval = interval
        self._clock = clock
        self._news = asyncio.Event()
        self._log = component("health")

    def remember(self, succession: Succession) -> None:
        """Tell the next program how health was."""
        succession.tell(_LEFT, self.book.left())

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has seen."""
        left = succession.told(_LEFT, Left)
        if left:
            self.book.go_on(left)

    def news(self) -> None:
        """Look soon: something may have changed."""
        self._news.set()

    def watching(self) -> AbstractAsyncContextManager[object]:
        """Look at intervals, as long as the context lasts."""
        return beside(self._look(), "health")

    async def _look(self) -> None:
        # Links come up in the first moments, and until then nothing is wrong.
        await asyncio.sleep(self._interval)
        while True:
            self._news.clear()
            change = self.book.told(self._health(), self._clock())
            if change:
                self._say(change)
                self.heard(change)
            self.looked()
            await happened(self._news, self._interval)

    def _say(self, change: HealthChange) -> None:
        fields: dict[str, object] = {"old": change.old, "new": change.new}
        if change.reasons:
            fields["reasons"] = "; ".join(change.reasons[:_MOST_SHOWN])
        if change.gone:
            fields["gone"] = "; ".join(change.gone[:_MOST_SHOWN])
        if change.lasted:
            fields["lasted"] = durations.in_go(float(round(change.lasted)))
        level = _LEVELS.get(change.new, logging.INFO) if change.added else logging.INFO
        self._log.log(level, change.sentence, **fields)
