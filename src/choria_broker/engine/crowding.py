"""When to say that listeners are crowded by connections that do not log in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

EVERY = 60.0
"""Seconds between two notices about one listener."""

REMEDY = (
    "If they are your own nodes, raise plugin.choria.network.max_unauthenticated; otherwise find out who "
    "they are and block them with a firewall"
)


class Notice(msgspec.Struct, frozen=True):
    """A line for the log.

    Attributes:
        listener: the crowded one.
        turned_away: connections since the last notice about it.
    """

    listener: str
    turned_away: int

    @property
    def text(self) -> str:
        """The line."""
        return "Connections that had not logged in were closed because a listener had too many of them"

    @property
    def fields(self) -> dict[str, str | int]:
        """What goes with it."""
        return {"listener": self.listener, "turned_away": self.turned_away, "remedy": REMEDY}


class Crowding:
    """Remembers what was said; at most one notice a minute about each listener.

    What happens in between is in the next notice, which comes with the next connection turned away.
    """

    def __init__(self) -> None:
        """Start with nothing said."""
        self._said: dict[str, tuple[float, int]] = {}

    def notices(self, turned_away: Mapping[str, int], now: float) -> Iterator[Notice]:
        """Yield what is to be said.

        Args:
            turned_away: connections turned away since the start, by listener.
            now: in seconds, of any clock.
        """
        for listener, count in turned_away.items():
            last, said = self._said.get(listener, (now - EVERY, 0))
            if count > said and not 0 <= now - last < EVERY:
                self._said[listener] = (now, count)
                yield Notice(listener, count - said)
