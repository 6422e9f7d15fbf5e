"""Decisions whose verdicts the engine may use again: what there is to say about each connection that it lets in so."""

from __future__ import annotations

import collections

from choria_broker.access.session import Again
from choria_broker.audit.decided import Decision, decision_again, own_room_of, room_of

MOST = 10_000
"""As many verdicts as the engine keeps; it forgets the oldest first, as is done here."""

_ROOM = 24 * 1024 * 1024
"""Bytes that others have chosen in all of them, about."""

_LONGEST = 360.0
"""Seconds after which no verdict is used any more, and a little."""


class Lasting:
    """The decisions, by the connections that they are about, in the order in which the engine learns the verdicts."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: collections.OrderedDict[int, tuple[Decision, int]] = collections.OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """Count them."""
        return len(self._known)

    def learn(self, decision: Decision, size: int) -> None:
        """Keep a decision, and as many of those before it as there is room for.

        Args:
            decision: the decision.
            size: its room, as ``room_of`` tells.
        """
        self._forget(decision.connection_id)
        self._known[decision.connection_id] = (decision, size)
        self._size += size
        while len(self._known) > MOST or (self._size > _ROOM and len(self._known) > 1):
            self._forget(next(iter(self._known)))

    def decision(self, again: Again, now: float) -> tuple[Decision, int]:
        """Tell what was decided about a connection that the engine has let in by itself, and its room, about.

        Args:
            again: the connection.
            now: Unix seconds.
        """
        before, size = self._known.get(again.by, (None, 0))
        decision = decision_again(again, before, now)
        # Of a verdict that is not known any more, nothing is shared with what is kept.
        return decision, room_of(decision) if before is None else size + own_room_of(decision)

    def remember(self) -> list[Decision]:
        """Return all, for the next program."""
        return [decision for decision, _ in self._known.values()]

    def forget_old(self, now: float) -> None:
        """Forget those that the engine cannot use any more.

        Args:
            now: Unix seconds.
        """
        old = [number for number, (decision, _) in self._known.items() if not now - _LONGEST < decision.time <= now]
        for number in old:
            self._forget(number)

    def _forget(self, connection: int) -> None:
        _, size = self._known.pop(connection, (None, 0))
        self._size -= size
