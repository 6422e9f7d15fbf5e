"""How streams are now, in words and as part of the status: what can be written, who leads, which copies are in step."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from choria_broker.stats.readings import Streams
from choria_broker.stats.standings import CopyState, Standing, Standings
from choria_broker.wording import in_bytes, plain

_FAR_BEHIND = 1000
"""Operations that a copy is behind when it is more than a moment's work."""

_NAMED = 3
"""Streams that a sentence names."""

_LITTLE_ROOM = 256 << 20

Names = Collection[tuple[str, str]]
"""Streams, by account and name."""


class CopyReport(msgspec.Struct, frozen=True):
    """A copy of a stream on another member, as the member that leads sees it.

    Attributes:
        member: where it is.
        state: ``in-step``, ``behind`` or ``silent``.
        lag: operations that it is behind.
        heard: seconds since its last word, None when there was none.
    """

    member: str
    state: str
    lag: int = 0
    heard: float | None = None


class StandingReport(msgspec.Struct, frozen=True):
    """One stream, or what the cluster knows of all of them.

    Attributes:
        account, stream: which one; both empty for the cluster.
        writable: messages are stored, as far as this broker knows.
        obstacle: why they are not, one sentence without its full stop.
        leader: the member that leads, empty when none does.
        copies: those on other members; empty where this broker does not lead, for only the leader knows.
        messages, bytes, consumers: what the copy here holds, and who reads it.
        description: what those who made it say of it.
    """

    account: str
    stream: str
    writable: bool
    obstacle: str
    leader: str
    copies: tuple[CopyReport, ...] = ()
    messages: int = 0
    bytes: int = 0
    consumers: int = 0
    description: str = ""


class StreamsNow(msgspec.Struct, frozen=True):
    """All streams with a copy on this broker.

    Attributes:
        meta: what the cluster knows of streams, without which none is made or changed; None for a broker that is alone.
        standard: the standard streams.
        others: how many others there are.
        others_not_writable, others_behind: how many of those cannot be written, or have a copy that lags or is silent.
        worst: what is wrong with the worst of the others, one sentence without its full stop.
    """

    meta: StandingReport | None = None
    standard: tuple[StandingReport, ...] = ()
    others: int = 0
    others_not_writable: int = 0
    others_behind: int = 0
    worst: str = ""


class StoreRoom(msgspec.Struct, frozen=True):
    """The store and its disk.

    Attributes:
        path: the store.
        free: bytes that are left on its disk, None when that is not known.
        streams: what the engine tells of the store; None while nobody asks it.
    """

    path: Path
    free: int | None = None
    streams: Streams | None = None

    @property
    def shortage(self) -> str:
        """Why the disk will be full before the streams have what they may take; empty when it will not."""
        if self.free is None:
            return ""
        known = self.streams if self.streams and self.streams.store_max else None
        wanted = max(known.store_max - known.store_used, 0) if known else _LITTLE_ROOM
        if self.free >= wanted:
            return ""
        more, used = f"less than {in_bytes(wanted)}", ""
        if known:
            more = f"less than the {in_bytes(wanted)} that streams may still use"
            used = f" ({in_bytes(known.store_used)} used of at most {in_bytes(known.store_max)})"
        return (
            f"the disk of the store {self.path} has {in_bytes(self.free)} left, {more}{used}; "
            "free disk space there, or lower the retention of streams"
        )


def streams_now(standings: Standings | None, standard: Names) -> StreamsNow | None:
    """Make the report.

    Args:
        standings: what was read, None when nothing was.
        standard: the standard streams.
    """
    if standings is None:
        return None
    mine, others = _parted(standings, standard)
    worst = next((f"{_named((each,))} cannot be written: {each.obstacle}" for each in others if each.obstacle), "")
    late = [each for each in others if not each.obstacle and _late(each)]
    if not worst and late:
        worst = f"a copy of {_named((late[0],))} on {_late(late[0])[0]} is silent or far behind"
    return StreamsNow(
        meta=standing_report(standings.meta) if standings.meta else None,
        standard=tuple(map(standing_report, mine)),
        others=len(others),
        others_not_writable=sum(bool(each.obstacle) for each in others),
        others_behind=len(late),
        worst=worst,
    )


def concerns(standings: Standings | None, standard: Names, connected: Collection[str] = ()) -> Iterator[str]:
    """Tell what somebody should look into, the worst first, each a sentence without its full stop.

    Args:
        standings: what was read, None when nothing was.
        standard: the standard streams.
        connected: members that are connected: those have a trouble of their own when their copies do not respond.
    """
    if standings is None:
        return
    mine, others = _parted(standings, standard)
    if standings.meta and standings.meta.obstacle:
        yield f"no stream can be made or changed in this cluster: {_told(standings.meta, connected)}"
    stalled = collections.defaultdict[str, list[Standing]](list)
    for each in mine:
        if each.obstacle:
            stalled[_told(each, connected)].append(each)
    for obstacle, concerned in stalled.items():
        yield f"{_named(concerned)} cannot be written: {obstacle}"
    late = collections.defaultdict[str, list[Standing]](list)
    for each in mine:
        for member in () if each.obstacle else _late(each):
            late[member].append(each)
    for member, concerned in late.items():
        yield f"the copy of {_named(concerned)} on {member} is silent or far behind"
    found = streams_now(standings, standard)
    if found and found.worst:
        count = found.others_not_writable + found.others_behind
        yield f"{count} of the {len(others)} other streams {'has' if count == 1 else 'have'} problems: {found.worst}"


def _told(standing: Standing, connected: Collection[str]) -> str:
    """Write an obstacle, with where to look when the members that do not respond are connected."""
    if not standing.missed or not set(standing.missed) <= set(connected):
        return standing.obstacle
    return (
        f"{standing.obstacle}, though connected; choria-broker status there says whether its disk is full or it hangs"
    )


def _parted(standings: Standings, standard: Names) -> tuple[list[Standing], list[Standing]]:
    mine = [each for each in standings.streams if (each.account, each.stream) in standard]
    return mine, [each for each in standings.streams if (each.account, each.stream) not in standard]


def _late(standing: Standing) -> tuple[str, ...]:
    """Members whose copy is silent or far behind, as the leader sees it, for longer than a moment."""
    if not standing.leads or not standing.leader:
        return ()
    silent = [each.member for each in standing.copies if each.silent and (each.heard or each.offline)]
    return (*silent, *(each.member for each in standing.behind if each.lag >= _FAR_BEHIND))


def _named(concerned: Sequence[Standing]) -> str:
    names = [each.stream for each in concerned]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    accounts = " and ".join(dict.fromkeys(each.account for each in concerned))
    return f"stream{'' if len(names) == 1 else 's'} {', '.join(names[:_NAMED])}{more} of account {accounts}"


def standing_report(standing: Standing) -> StandingReport:
    """Make the report of one stream."""
    copies = standing.copies if standing.leads and standing.leader else ()
    return StandingReport(
        account=standing.account,
        stream=standing.stream,
        writable=not standing.obstacle,
        obstacle=standing.obstacle,
        leader=standing.leader,
        copies=tuple(
            CopyReport(each.member, each.state.value, each.lag, None if each.heard is None else round(each.heard, 1))
            for each in copies
        ),
        messages=standing.holds.messages,
        bytes=standing.holds.bytes,
        consumers=standing.holds.consumers,
        description=plain(standing.description),
    )


def in_words(report: StandingReport) -> str:
    """Tell how a stream is, for people."""
    if not report.writable:
        return f"cannot be written: {report.obstacle}"
    led = f", leader {report.leader}" if report.leader else ", no leader at this moment"
    if not report.copies:
        return f"writable{led}"
    late = [each for each in report.copies if each.state != CopyState.IN_STEP]
    words = ", ".join(
        f"{each.member} {f'{each.lag} behind' if each.state == CopyState.BEHIND else 'silent'}" for each in late
    )
    return f"writable{led}, {1 + len(report.copies)} copies, {words or 'all in step'}"
