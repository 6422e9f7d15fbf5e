"""Everything that happens to a broker as one stream of events: remembered in bounded numbers, and told in order.

Readers keep nothing here. Each says up to where it has read, by kind, and is told what came after; what was forgotten
meanwhile is counted, so nobody takes a gap for silence.
"""

from __future__ import annotations

import collections
import enum
import fnmatch
import heapq
import itertools
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from choria_broker.access.session import Departed
from choria_broker.audit.acts import ActReport
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.host.succession import Succession
from choria_broker.wording import plain, short

PAGE = 500
"""Most events that are told at once."""

_LONGEST = 256
_LEFT = "events"
_NO_FACTS: Mapping[str, object] = {}


class EventKind(enum.StrEnum):
    """What an event is about."""

    DECISION = "decision"
    """A connection was accepted or refused."""
    SESSION = "session"
    """A connection that was accepted has ended."""
    DENIED = "denied"
    """Somebody may not use a subject, or did not take messages in time."""
    LINK = "link"
    """A link to another broker came up or went away."""
    STREAM = "stream"
    """A standard stream was set up, failed, or can or cannot be written."""
    COMPANION = "companion"
    """An adapter or the federation broker is in another state."""
    HEALTH = "health"
    """The health of the broker is another one, or has other reasons."""
    ACT = "act"
    """An operator did something."""


_REMEMBERED = {EventKind.DECISION: 2048, EventKind.SESSION: 1024, EventKind.DENIED: 512}
_OTHERS_REMEMBERED = 256
"""Events that are remembered of each kind: many connections leave what operators did where it is."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something that happened; holds no secret.

    Attributes:
        number: counts the events of its kind since the broker's start.
        time: when, Unix seconds.
        kind: what it is about; one of ``EventKind``.
        what: in a word what happened, such as ``refused``.
        identity: whose connection it is, which link or stream, or who acted; empty when unknown.
        address: of the peer, without port; empty when there is none.
        connection: the engine's number of the connection; 0 when it is about none.
        text: the same for people, one line.
        facts: what else is worth knowing.
    """

    number: int
    time: float
    kind: EventKind
    what: str
    identity: str = ""
    address: str = ""
    connection: int = 0
    text: str = ""
    facts: Mapping[str, str] = {}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted.

    Attributes:
        kinds: of these kinds; empty for all.
        identity: whose identity or address fits this, * and ? stand for any text and any character; empty for all.
        since: that happened since then, Unix seconds, for who has read nothing yet; None for none of those before.
        after: up to where was read, by kind; empty for who has read nothing yet.
    """

    kinds: tuple[EventKind, ...] = ()
    identity: str = ""
    since: float | None = None
    after: Mapping[str, int] = {}


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events in the order in which they happened.

    Attributes:
        time: when they were told, Unix seconds.
        broker: identity of the broker.
        events: the events.
        after: up to where they go, by kind.
        lost: how many were forgotten before they were read, by kind; wanted or not.
        more: there are more at once.
    """

    time: float
    broker: str
    events: tuple[Event, ...]
    after: Mapping[str, int]
    lost: Mapping[str, int] = {}
    more: bool = False


class _Left(msgspec.Struct, frozen=True):
    """What is left to the next program."""

    events: list[Event] = []
    counts: dict[str, int] = {}


class EventBook:
    """Remembers the latest events of each kind.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing has happened yet."""
        self._clock = clock
        self._latest: dict[EventKind, collections.deque[Event]] = {
            kind: collections.deque(maxlen=_REMEMBERED.get(kind, _OTHERS_REMEMBERED)) for kind in EventKind
        }
        self._counts = dict.fromkeys(EventKind, 0)

    def tell(  # noqa: PLR0913 - the fields of an event
        self,
        kind: EventKind,
        what: str,
        identity: str = "",
        *,
        text: str = "",
        address: str = "",
        connection: int = 0,
        time: float | None = None,
        facts: Mapping[str, object] = _NO_FACTS,
    ) -> None:
        """Take in that something happened.

        Args:
            kind: what it is about.
            what: in a word what happened.
            identity: whose connection it is, which link or stream, or who acted.
            text: the same for people.
            address: of the peer, without port.
            connection: the engine's number of the connection.
            time: when, None for now.
            facts: what else is worth knowing; what is empty is left out.
        """
        self._counts[kind] += 1
        event = Event(
            number=self._counts[kind],
            time=self._clock() if time is None else time,
            kind=kind,
            what=what,
            identity=short(identity, _LONGEST),
            address=address,
            connection=connection,
            text=short(text, _LONGEST),
            facts={name: short(str(value), _LONGEST) for name, value in facts.items() if value not in ("", None)},
        )
        self._latest[kind].append(event)

    def decided(self, decision: Decision) -> None:
        """Take in a decision about a connection; there are very many, so this is done without detours."""
        kind = EventKind.DECISION
        number = self._counts[kind] = self._counts[kind] + 1
        facts = {"rule": decision.rule, "connection_kind": decision.kind, "tls": decision.tls}
        for name, fact in (
            ("account", decision.account),
            ("method", decision.method),
            ("token", decision.token_id),
            ("claimed", decision.claimed),
        ):
            if fact:
                facts[name] = short(fact, _LONGEST)
        event = Event(
            number=number,
            time=decision.time,
            kind=kind,
            what="accepted" if decision.allowed else "refused",
            identity=short(decision.username or decision.common_name, _LONGEST),
            address=decision.address,
            connection=decision.connection_id,
            text="" if decision.allowed else short(f"{decision.reason} {decision.remedy}".rstrip(), _LONGEST),
            facts=facts,
        )
        self._latest[kind].append(event)

    def departed(self, gone: Departed, name: str) -> None:
        """Take in that a session has ended.

        Args:
            gone: the session.
            name: whose it was.
        """
        self.tell(
            EventKind.SESSION,
            "ended",
            name,
            text=gone.reason,
            address=gone.address,
            connection=gone.connection,
            time=gone.until,
            facts={"account": gone.account, "seconds": round(max(gone.until - gone.since, 0.0))},
        )

    def denied(self, noted: Noted) -> None:
        """Take in that somebody may not use a subject, or was too slow."""
        facts = {"subject": noted.subject, "times": noted.times}
        self.tell(EventKind.DENIED, noted.kind, noted.who, text=noted.words, connection=noted.connection, facts=facts)

    def acted(self, act: ActReport) -> None:
        """Take in what an operator did."""
        self.tell(EventKind.ACT, act.act, act.by, text=act.outcome, facts=act.facts)

    def page(self, wanted: Wanted, broker: str, most: int = PAGE) -> EventPage:
        """Tell events, as many as are told at once.

        Args:
            wanted: which.
            broker: identity of this broker.
            most: events that are told at once.
        """
        kinds = wanted.kinds or tuple(EventKind)
        after = {kind: self._read_up_to(kind, wanted) for kind in kinds}
        lost = {}
        for kind, read in after.items():
            forgotten = self._counts[kind] - len(self._latest[kind])
            if read < forgotten:
                lost[kind.value] = forgotten - read
                after[kind] = forgotten
        fits = _fitting(wanted.identity)
        events: list[Event] = []
        more = False
        for event in heapq.merge(*(self._since(kind, read) for kind, read in after.items()), key=_time):
            if len(events) == most:
                more = True
                break
            after[event.kind] = event.number
            if fits(event):
                events.append(event)
        told = {kind.value: number for kind, number in after.items()}
        return EventPage(time=self._clock(), broker=broker, events=tuple(events), after=told, lost=lost, more=more)

    def _read_up_to(self, kind: EventKind, wanted: Wanted) -> int:
        """Tell up to where events of a kind were read, or need not be told."""
        count = self._counts[kind]
        if wanted.after:
            read = wanted.after.get(kind, 0)
            return read if read <= count else 0  # They were counted before this broker started.
        if wanted.since is None:
            return count
        since = wanted.since
        return next((each.number - 1 for each in self._latest[kind] if each.time >= since), count)

    def _since(self, kind: EventKind, read: int) -> Iterator[Event]:
        latest = self._latest[kind]
        first = max(read - (self._counts[kind] - len(latest)), 0)
        return itertools.islice(latest, first, None)

    def remember(self, succession: Succession) -> None:
        """Leave what happened to the next program."""
        events = [event for latest in self._latest.values() for event in latest]
        succession.tell(_LEFT, _Left(events, {kind.value: count for kind, count in self._counts.items()}))

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has left."""
        left = succession.told(_LEFT, _Left)
        if left is None:
            return
        for event in left.events:
            self._latest[event.kind].append(event)
        self._counts |= {kind: left.counts[kind.value] for kind in EventKind if kind.value in left.counts}


def _time(event: Event) -> float:
    return event.time


def _fitting(identity: str) -> Callable[[Event], bool]:
    if not identity:
        return lambda _: True
    pattern = re.compile(fnmatch.translate(identity.lower()))
    return lambda event: any(pattern.match(name.lower()) for name in (event.identity, event.address) if name)


def in_words(event: Event, moment: Callable[[float], str]) -> str:
    """Write an event for people, on one line.

    Args:
        event: the event.
        moment: writes a time.
    """
    place = f" from {event.address}" if event.address else ""
    who = f" {event.identity}" if event.identity else ""
    cid = f", cid {event.connection}" if event.connection else ""
    rule = f", {event.facts['rule']}" if "rule" in event.facts else ""
    text = f": {event.text}" if event.text else ""
    return plain(f"{moment(event.time)} {event.kind.value} {event.what}{who}{place}{cid}{rule}{text}")
