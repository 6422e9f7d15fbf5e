"""Changes of health: what it was, what it is, why, and for how long; the latest are kept."""

from __future__ import annotations

import collections

import msgspec

from choria_broker.patterns import expression
from choria_broker.status.health import Condition, Health

MOST = 50
"""Changes that are kept."""

UNKNOWN = "starting"
"""What a broker was before its health was told for the first time."""

_NUMBER = expression(r"(?<![\w.:/-])\d+(?:\.\d+)?(?![\w:/-]|\.\w)")
"""A number that stands for itself, not one in a name, an address or a path."""


class HealthChange(msgspec.Struct, frozen=True):
    """One change.

    Attributes:
        time: when it was noticed, Unix seconds.
        old, new: conditions; the same when only the reasons are others.
        reasons: what needs attention now, the worst first.
        added: those of them that did not before.
        gone: what no longer does.
        lasted: seconds that the condition before has lasted; 0 while it stays.
    """

    time: float
    old: str
    new: str
    reasons: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    lasted: float = 0.0

    @property
    def sentence(self) -> str:
        """The change in one sentence without its full stop."""
        begin = f"Health is {'still ' if self.old == self.new else ''}{self.new}"
        told = (*self.added, *(f"no longer: {each}" for each in self.gone), *self.reasons)
        return f"{begin}: {told[0]}" if told and self.new != Condition.OK else begin


class Left(msgspec.Struct):
    """What is left to the next program."""

    health: HealthChange
    since: float
    changes: list[HealthChange] = msgspec.field(default_factory=list)
    counts: dict[str, int] = msgspec.field(default_factory=dict)


class HealthBook:
    """Compares the health of one moment with that of the moment before.

    Numbers in reasons do not count: what is behind by 12 messages and then by 13 has not changed. How far a drain is
    does not count either.

    Attributes:
        since: since when the condition lasts, Unix seconds; 0 before it was told for the first time.
        counts: how often health changed to each condition.
    """

    def __init__(self) -> None:
        """Nothing was told yet."""
        self.since = 0.0
        self.counts: dict[str, int] = dict.fromkeys(Condition, 0)
        self._changes: collections.deque[HealthChange] = collections.deque(maxlen=MOST)
        self._last = HealthChange(0.0, UNKNOWN, UNKNOWN)

    @property
    def changes(self) -> tuple[HealthChange, ...]:
        """The latest changes, the latest first."""
        return tuple(reversed(self._changes))

    def told(self, health: Health, now: float) -> HealthChange | None:
        """Take in how health is.

        Args:
            health: what was found.
            now: Unix seconds.

        Returns:
            The change, None when there is none. That all is well at first is none.
        """
        before, reasons, new = self._last, health.causes, health.condition.value
        counted, earlier = _forms(reasons), _forms(before.reasons)
        if new == before.new and counted == earlier:
            self._last = msgspec.structs.replace(before, reasons=reasons)
            return None
        other = new != before.new
        added = tuple(each for each in reasons if _form(each) in counted - earlier)
        gone = tuple(each for each in before.reasons if _form(each) in earlier - counted)
        lasted = now - self.since if other and self.since else 0.0
        change = HealthChange(now, before.new, new, reasons, added, gone, lasted)
        self._last = change
        if other:
            self.since = now
        if before.new == UNKNOWN and health.condition is Condition.OK:
            return None
        if other:
            self.counts[new] += 1
        self._changes.append(change)
        return change

    def left(self) -> Left:
        """Return what the next program has to know."""
        return Left(self._last, self.since, list(self._changes), dict(self.counts))

    def go_on(self, left: Left) -> None:
        """Go on from what the program before knew."""
        self._last, self.since = left.health, left.since
        self._changes.extend(left.changes)
        self.counts |= left.counts


def _forms(reasons: tuple[str, ...]) -> collections.Counter[str]:
    return collections.Counter(map(_form, reasons))


def _form(reason: str) -> str:
    return _NUMBER.sub("#", reason)
