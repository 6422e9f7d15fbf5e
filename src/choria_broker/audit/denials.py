"""What connections were not allowed to use, and who was too slow: read from the engine's lines, counted, bounded."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import msgspec

from choria_broker.audit.engine_lines import unescaped
from choria_broker.patterns import expression
from choria_broker.values import replace

_VIOLATION = expression(
    r'(?P<direction>Publish|Subscription) Violation - .*?Subject (?P<subject>"(?:[^"\\]|\\.)*")'
    r'(?:, Queue (?P<queue>"(?:[^"\\]|\\.)*"))?'
)
_SLOW = expression(
    r"Slow Consumer (?:Detected|State): (?P<limit>.*?) ?"
    r'\(pending: (?P<pending>\d+) bytes(?:; subject: (?P<subject>"(?:[^"\\]|\\.)*"))?\)'
)
_MOST = 1024
"""How many of each are told apart; the oldest are forgotten first."""


class Violation(msgspec.Struct, frozen=True):
    """A subject that a connection asked for in vain.

    Attributes:
        publish: it wanted to publish to it, else to subscribe.
        subject: the subject.
        queue: of the subscription, empty without one.
    """

    publish: bool
    subject: str
    queue: str = ""


class Slow(msgspec.Struct, frozen=True):
    """A connection that did not take its messages in time.

    Attributes:
        limit: what it went beyond, in the engine's words.
        pending: bytes that waited for it.
        subject: of the subscription that brought it most messages, empty when that is not known.
    """

    limit: str
    pending: int
    subject: str


class Noted(msgspec.Struct, frozen=True):
    """Something that happened to somebody.

    Attributes:
        kind: ``publish``, ``subscribe`` or ``slow``.
        who: whose connection it is, or its address where that is not known.
        subject: the latest one, empty when it is not known.
        needs: what would allow it, empty when nothing does or it is not known; of a slow one what waited.
        connection: the latest one, by the engine's number.
        times: how often since the start.
        last: when last, Unix seconds.
    """

    kind: str
    who: str
    subject: str
    needs: str
    connection: int
    times: int
    last: float

    @property
    def words(self) -> str:
        """What was denied, or what somebody was too slow for."""
        if self.kind == "slow":
            return f"slow consumer, {self.needs}{f', most of them for {self.subject}' if self.subject else ''}"
        return f"may not {self.kind} to {self.subject}{f' (needs {self.needs})' if self.needs else ''}"


class Budget:
    """Allows so many of something in each second."""

    def __init__(self, most: int) -> None:
        """Begin with nothing taken."""
        self._most = most
        self._second, self._taken = 0, 0

    def take(self, now: float) -> bool:
        """Take one, False when there is none left in this second."""
        if int(now) != self._second:
            self._second, self._taken = int(now), 0
        self._taken += 1
        return self._taken <= self._most


def violation(text: str) -> Violation | None:
    """Read a line about a subject that is not allowed, None for any other."""
    found = _VIOLATION.search(text) if " Violation - " in text else None
    if found is None:
        return None
    return Violation(found["direction"] == "Publish", _unquoted(found["subject"]), _unquoted(found["queue"] or ""))


def slow(text: str) -> Slow | None:
    """Read a line about a connection that is too slow, None for any other."""
    found = _SLOW.search(text) if "Slow Consumer " in text else None
    return Slow(found["limit"].rstrip("."), int(found["pending"]), _unquoted(found["subject"] or "")) if found else None


class Denials:
    """Counts them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: collections.OrderedDict[tuple[str, str, str], Noted] = collections.OrderedDict()

    def note(self, now: Noted) -> Noted:
        """Count one more, with its ``times`` left out of account; return it with the times so far.

        Those of the same person that need the same are counted together: a client that may not speak to one node may
        not speak to any.
        """
        key = _key(now)
        before = self._known.pop(key, None)
        noted = replace(now, times=before.times + 1 if before else 1)
        self._known[key] = noted
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return noted

    def go_on(self, noted: Iterable[Noted]) -> None:
        """Begin with what was noted before, the latest first."""
        for each in reversed(list(noted)[:_MOST]):
            self._known[_key(each)] = each

    def latest(self, count: int | None) -> tuple[Noted, ...]:
        """Return those that happened last, the latest first; None for all."""
        return tuple(list(reversed(self._known.values()))[:count])


def _key(noted: Noted) -> tuple[str, str, str]:
    return noted.kind, noted.who, "" if noted.kind == "slow" else noted.needs or noted.subject


def _unquoted(text: str) -> str:
    return unescaped(text[1:-1])
