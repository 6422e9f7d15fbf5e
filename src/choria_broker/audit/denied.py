"""Tells of denied subjects and of slow consumers in our own words: whose, what would help, how often."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import Protocol

from choria_broker.access.needed import needed
from choria_broker.access.verdict import Permissions
from choria_broker.audit.denials import Budget, Denials, Noted, Slow, Violation, slow, violation
from choria_broker.audit.engine_lines import EngineLine
from choria_broker.audit.throttle import RefusalThrottle
from choria_broker.log.structured import component
from choria_broker.wording import short

_MOST_NAMES = 16384
"""Connections whose name and rule are kept, to say whose a subject is that is not allowed."""

_MOST_ASSESSED = 50
"""Denied subjects in a second for which it is worked out what would allow them."""

_LONGEST = 256


class Granted(Protocol):
    """A decision about a connection."""

    @property
    def permissions(self) -> Permissions | None:
        """What it may do."""
        ...


class Denied:
    """Counts them, and writes a bounded number of lines.

    Attributes:
        heard: told of each.
    """

    def __init__(self, throttle: RefusalThrottle, counts: collections.Counter[str], clock: Callable[[], float]) -> None:
        """Begin with none.

        Args:
            throttle: says which lines are worth it.
            counts: where denied subjects are counted, by ``publish`` and ``subscribe``.
            clock: Unix time in seconds.
        """
        self._log = component("access")
        self._throttle = throttle
        self._counts = counts
        self._clock = clock
        self._denials = Denials()
        self.heard: Callable[[Noted], None] = lambda _: None
        self._names: collections.OrderedDict[int, tuple[str, str]] = collections.OrderedDict()
        self._budget = Budget(_MOST_ASSESSED)

    def latest(self, count: int | None) -> tuple[Noted, ...]:
        """Return those that happened last, the latest first; None for all."""
        return self._denials.latest(count)

    def remember(self) -> list[Noted]:
        """Return all, for the next program."""
        return list(self._denials.latest(None))

    def recall(self, noted: Iterable[Noted], counts: collections.Counter[str]) -> None:
        """Go on with what the program before has noted, and with its counts."""
        self._counts = counts
        self._denials.go_on(noted)

    def admitted(self, connection: int, username: str, rule: str) -> None:
        """Hear of a connection that was let in."""
        self._names[connection] = (username, rule)
        if len(self._names) > _MOST_NAMES:
            self._names.popitem(last=False)

    def told_of(self, line: EngineLine, text: str, decision: Granted | None) -> bool:
        """Tell of what a line says, when it is about a denied subject or a slow consumer.

        Args:
            line: what was read of it.
            text: the whole line.
            decision: about its connection, None when it is not among the recent ones.

        Returns:
            False for any other line.
        """
        if line.peer is None:
            return False
        denied, late = violation(text), slow(text)
        if denied:
            self._denied(line, denied, decision)
        elif late:
            self._late(line, late)
        return bool(denied or late)

    def _denied(self, line: EngineLine, found: Violation, decision: Granted | None) -> None:
        who, rule = self._known_as(line)
        kind, now, lacks = "publish" if found.publish else "subscribe", self._clock(), ""
        if self._budget.take(now):
            granted = decision.permissions if decision else None
            lacks = needed(rule, who, found.subject, publish=found.publish, granted=granted)
        noted = self._denials.note(Noted(kind, who, short(found.subject, _LONGEST), lacks, line.connection, 0, now))
        self._counts[kind] += 1
        self.heard(noted)
        if self._throttle.note(line.peer or "", f"{kind}-denied", now):
            self._log.warning(
                f"May not {kind} to a subject",
                **_who(line, who),
                subject=noted.subject,
                **({"queue": short(found.queue, _LONGEST)} if found.queue else {}),
                **({"needs": lacks} if lacks else {}),
                times=noted.times,
            )

    def _late(self, line: EngineLine, found: Slow) -> None:
        who, _ = self._known_as(line)
        now, waited = self._clock(), f"{found.pending} bytes waited: {found.limit}"
        noted = self._denials.note(Noted("slow", who, short(found.subject, _LONGEST), waited, line.connection, 0, now))
        self.heard(noted)
        if self._throttle.note(line.peer or "", "slow-consumer", now):
            self._log.warning(
                "Slow consumer",
                **_who(line, who),
                **({"subject": noted.subject} if noted.subject else {}),
                pending_bytes=found.pending,
                limit=found.limit,
                times=noted.times,
            )

    def _known_as(self, line: EngineLine) -> tuple[str, str]:
        """Say whose connection it is, by its address where nobody knows, and the rule that let it in."""
        name, rule = self._names.get(line.connection, ("", ""))
        return short(name or line.user, _LONGEST) or line.peer or "unknown", rule


def _who(line: EngineLine, who: str) -> dict[str, object]:
    return {"identity": who, "cid": line.connection, "remote": line.peer or ""}
