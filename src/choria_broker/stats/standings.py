"""How streams stand at one moment, as far as this broker can tell: who leads, which copies are in step.

Read from ``/jsz?accounts=1&streams=1``. The leader of a stream knows of all copies; every other member knows only
whether it hears of the leader. So each broker tells what it sees, and the leader tells most.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from choria_broker.stats.pages import mapping, number, sequence, text
from choria_broker.values import replace
from choria_broker.wording import short

SILENT = 5.0
"""Seconds without a word after which a copy does not count: its member says something every second."""

ELECTION = 4.0
"""Seconds that a group may be without a leader, or a new copy without a word: an election takes a moment."""

_NANOSECONDS = 1e9


class CopyState(enum.StrEnum):
    """States of a copy, as the leader sees it."""

    IN_STEP = "in-step"
    BEHIND = "behind"
    SILENT = "silent"


class Copy(msgspec.Struct, frozen=True):
    """One copy on another member.

    Attributes:
        member: name of the member.
        heard: seconds since its last word, None when there was none.
        current: it has what is stored, as far as this broker knows.
        offline: the member is not connected to the cluster, as far as this broker knows.
        lag: operations that it is behind, where this broker leads.
    """

    member: str
    heard: float | None = None
    current: bool = True
    offline: bool = False
    lag: int = 0

    @property
    def silent(self) -> bool:
        """Nothing was heard of it for too long."""
        return self.offline or self.heard is None or self.heard > SILENT

    @property
    def state(self) -> CopyState:
        """Its state, where this broker leads."""
        if self.silent:
            return CopyState.SILENT
        return CopyState.IN_STEP if self.current and not self.lag else CopyState.BEHIND


class Holding(msgspec.Struct, frozen=True):
    """What a stream holds.

    Attributes:
        messages, bytes: how many.
        consumers: who reads it.
    """

    messages: int = 0
    bytes: int = 0
    consumers: int = 0


class Standing(msgspec.Struct, frozen=True):
    """A group of copies: of a stream, or of what the cluster knows of streams.

    Attributes:
        account, stream: which stream; both empty for the cluster's own group.
        leader: name of the member that leads, empty when none does.
        copies: those on other members.
        grouped: it has a group at all: a stream with one copy, or of a broker that is alone, has none.
        leads: this broker leads.
        doubtful_for: seconds that it has been without a leader, or a word of a copy, in one reading after the other.
        suspects: of those that are not heard of, the ones that are not heard of in the cluster's own group either.
        holds: what of it is stored here.
        description: what those who made the stream say of it.
    """

    account: str = ""
    stream: str = ""
    leader: str = ""
    copies: tuple[Copy, ...] = ()
    grouped: bool = False
    leads: bool = True
    doubtful_for: float = 0.0
    suspects: tuple[str, ...] = ()
    holds: Holding = Holding()
    description: str = ""

    @property
    def unheard(self) -> tuple[str, ...]:
        """Other members with a copy that say nothing, as far as this broker would hear it."""
        if not self.leader or self.leads:
            return tuple(each.member for each in self.copies if each.silent)
        return tuple(each.member for each in self.copies if each.member == self.leader and each.silent)

    @property
    def behind(self) -> tuple[Copy, ...]:
        """Copies that are behind; empty where this broker does not lead."""
        if not self.grouped or not self.leads or not self.leader:
            return ()
        return tuple(each for each in self.copies if each.state is CopyState.BEHIND)

    @property
    def missed(self) -> tuple[str, ...]:
        """Members that would matter, and from which there is no response."""
        return self.suspects or self.unheard

    @property
    def obstacle(self) -> str:
        """Why nothing can be written, a sentence without its full stop; empty when that is possible."""
        if not self.grouped:
            return ""
        lasts = self.leader and any(each.heard and each.heard > SILENT for each in self.copies)
        if not lasts and self.doubtful_for < ELECTION:
            return ""
        who = f"; no response from {' and '.join(self.missed)}" if self.missed else ""
        if not self.leader:
            return f"no member leads{who}"
        if self.leads:
            there, all_of_them = 1 + len(self.copies) - len(self.unheard), 1 + len(self.copies)
            return "" if there > all_of_them // 2 else f"too few copies respond{who}"
        return f"no response from {self.leader}, which leads" if self.unheard else ""

    @property
    def doubtful(self) -> bool:
        """It is to be looked at again soon."""
        return self.grouped and (not self.leader or bool(self.unheard))

    @property
    def counts(self) -> Mapping[CopyState, int]:
        """How many copies there are by state, this broker's own included; empty where this broker does not lead."""
        if not self.leads or not self.leader:
            return {}
        found = dict.fromkeys(CopyState, 0) | {CopyState.IN_STEP: 1}
        for each in self.copies:
            found[each.state] += 1
        return found


class Standings(msgspec.Struct, frozen=True):
    """All groups that this broker has a part in.

    Attributes:
        meta: the cluster's own; None for a broker that is alone.
        streams: those with a copy here.
        time: when that was read, seconds of a clock that is never set.
    """

    meta: Standing | None = None
    streams: tuple[Standing, ...] = ()
    time: float = 0.0

    @property
    def doubtful(self) -> bool:
        """Something is to be looked at again soon."""
        return any(each.doubtful for each in (self.meta, *self.streams) if each)

    @classmethod
    def read(cls, jsz: object, own: str, before: Standings | None, now: float) -> Self:
        """Read ``/jsz`` with accounts and streams.

        Args:
            jsz: the page.
            own: name of this broker in its cluster.
            before: what was read the time before.
            now: seconds of a clock that is never set.
        """
        page = mapping(jsz)
        meta = mapping(page.get("meta_cluster"))
        found = sorted(
            (
                _of_stream(text(account, "name"), detail, own)
                for account in map(mapping, sequence(page.get("account_details")))
                for detail in map(mapping, sequence(account.get("stream_detail")))
            ),
            key=_key,
        )
        cluster = replace(_standing(meta, own), grouped=True) if meta else None
        earlier = {_key(each): each for each in (before.meta, *before.streams) if each} if before else {}
        passed = now - before.time if before else 0.0
        if cluster:
            lost = set(cluster.unheard)
            found = [replace(each, suspects=tuple(name for name in each.unheard if name in lost)) for each in found]
            cluster = _waiting(cluster, earlier, passed)
        return cls(cluster, tuple(_waiting(each, earlier, passed) for each in found), now)


def _key(standing: Standing) -> tuple[str, str]:
    return standing.account, standing.stream


def _waiting(standing: Standing, earlier: Mapping[tuple[str, str], Standing], passed: float) -> Standing:
    """Count on for how long it has been doubtful."""
    before = earlier.get(_key(standing))
    if not standing.doubtful or before is None or not before.doubtful:
        return standing
    return replace(standing, doubtful_for=before.doubtful_for + passed)


def _of_stream(account: str, detail: Mapping[str, object], own: str) -> Standing:
    state, config = mapping(detail.get("state")), mapping(detail.get("config"))
    return replace(
        _standing(mapping(detail.get("cluster")), own, account, text(detail, "name")),
        holds=Holding(number(state, "messages"), number(state, "bytes"), number(state, "consumer_count")),
        description=short(text(config, "description")),
    )


def _standing(cluster: Mapping[str, object], own: str, account: str = "", stream: str = "") -> Standing:
    leader = text(cluster, "leader")
    copies = tuple(each for each in _copies(cluster.get("replicas")) if each.member != own)
    return Standing(account, stream, leader, copies, bool(text(cluster, "raft_group")), leader == own)


def _copies(replicas: object) -> Iterable[Copy]:
    for entry in map(mapping, sequence(replicas)):
        heard = number(entry, "active") / _NANOSECONDS
        yield Copy(
            member=text(entry, "name"),
            heard=heard if heard > 0 else None,
            current=entry.get("current") is True,
            offline=entry.get("offline") is True,
            lag=number(entry, "lag"),
        )
