"""When to say that more clients come at once than this machine can log in."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from choria_broker.engine.events import Queue

EVERY = 60.0
"""Seconds between two notices."""

REMEDY = (
    "they reconnect by themselves and are accepted as fast as this machine can; if that takes too long, give the "
    "broker a certificate with an EC key or more CPU cores, or add a broker; see docs/how-to/storms.md"
)


class Notice(msgspec.Struct, frozen=True):
    """A line for the log.

    Attributes:
        in_vain: clients that waited for nothing since the last notice.
        queue: how it is now.
    """

    in_vain: int
    queue: Queue

    @property
    def text(self) -> str:
        """The line."""
        return "More clients connect at once than this machine can log in: they wait, and some have to reconnect"

    @property
    def fields(self) -> dict[str, str | int]:
        """What goes with it."""
        return {
            "waiting": self.queue.waiting,
            "at_once": self.queue.at_once,
            "come_again": self.in_vain,
            "remedy": REMEDY,
        }


class Storms:
    """Remembers what was said; at most one notice a minute, and none where all that waited were served."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._last: float | None = None
        self._said = 0

    def notices(self, queue: Queue, now: float) -> Iterator[Notice]:
        """Yield what is to be said.

        Args:
            queue: as the engine told.
            now: in seconds, of any clock.
        """
        in_vain = queue.in_vain - self._said
        if in_vain > 0 and (self._last is None or not 0 <= now - self._last < EVERY):
            self._last, self._said = now, queue.in_vain
            yield Notice(in_vain, queue)
