"""The checks of ``nats server check`` about JetStream and streams, made from the status of a broker.

What only a message to a stream would tell is not checked here: a kind says so, and what to use in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from choria_broker.stats.standings import CopyState
from choria_broker.status.checks import Check, Found, Level, Limits, Measure, Note
from choria_broker.status.document import Status, StoreReport
from choria_broker.status.streams_now import CopyReport, StandingReport, in_words
from choria_broker.streams.report import State
from choria_broker.values import replace

_PERCENT = 100.0


class CopyLimits(msgspec.Struct, frozen=True):
    """What is expected of copies on other members.

    Attributes:
        expected: how many copies there are to be with that of the leader; None for any number.
        lag: operations that a copy may be behind, None for any number.
        seen: seconds since the last word of a copy, None for any time.
    """

    expected: int | None = None
    lag: int | None = None
    seen: float | None = None


def meta(status: Status, limits: CopyLimits) -> Check:
    """Tell how the group stands in which the cluster keeps what it knows of streams."""
    return Check.of("meta", "JetStream Meta Cluster", _meta(status, limits))


def _meta(status: Status, limits: CopyLimits) -> Found:
    found = status.streams_now.meta if status.streams_now else None
    if found is None:
        yield Note(Level.UNKNOWN, "this broker has no streams in a cluster, or they were not read yet")
        return
    if not found.writable:
        yield Note(Level.CRITICAL, found.obstacle)
    leads = bool(found.copies) or found.leader == status.identity
    others = len(found.copies) if leads else len(status.peers.connected or ())
    expected = limits.expected
    yield Measure("peers", others + 1, "Known members", "", expected or 0, expected or 0)
    if expected is not None and others + 1 != expected:
        yield Note(Level.CRITICAL, f"{others + 1} peers of expected {expected}")
    yield from _copies("peer", found.copies, limits)
    if found.writable:
        led = f"led by {found.leader}" if found.leader else "a leader is being elected"
        yield Note(Level.OK, f"{others + 1} peers {led}")
        if not leads:
            yield Note(
                Level.OK,
                f"only {found.leader or 'the leader'} knows whether the other peers are current: ask that broker",
            )


def _copies(name: str, copies: Sequence[CopyReport], limits: CopyLimits) -> Iterator[Note | Measure]:
    """Judge copies on other members, which only the leader knows."""
    if not copies:
        return
    late = [each for each in copies if limits.lag is not None and each.lag > limits.lag]
    silent = [each for each in copies if _silent(each, limits.seen)]
    yield Measure(f"{name}_lagged", len(late), "Copies that are behind more than allowed")
    yield Measure(f"{name}_inactive", len(silent), "Copies that are silent for longer than allowed")
    for words, found in (("lagged", late), ("silent", silent)):
        if found:
            yield Note(Level.CRITICAL, f"{len(found)} {words}: {', '.join(each.member for each in found)}")


def _silent(copy: CopyReport, seen: float | None) -> bool:
    return copy.state == CopyState.SILENT if seen is None or copy.heard is None else copy.heard > seen


def jetstream(status: Status, limits: Limits, copies: CopyLimits | None) -> Check:
    """Tell how full the store is, and whether all streams are well.

    Args:
        status: of the broker.
        limits: for the room that is taken, in percent.
        copies: what is expected of streams' copies; None: they are not looked at.
    """
    return Check.of("jetstream", "JetStream", _jetstream(status, limits, copies))


def _jetstream(status: Status, limits: Limits, copies: CopyLimits | None) -> Found:
    store = status.store
    if store is None or not store.enabled:
        yield Note(Level.CRITICAL, f"JetStream not available: {_why_off(status, store)}")
        return
    yield from _room(store, limits)
    yield Measure("streams", store.streams, "Streams with a copy on this broker")
    yield Measure("consumers", store.consumers, "Consumers of these streams")
    now = status.streams_now
    if copies is None or now is None:
        return
    stalled = [each for each in now.standard if not each.writable]
    late = [
        each
        for each in now.standard
        if each.writable and any(isinstance(found, Note) for found in _copies("", each.copies, copies))
    ]
    bad, behind = len(stalled) + now.others_not_writable, len(late) + now.others_behind
    yield Measure("replicas_ok", len(now.standard) + now.others - bad - behind, "Healthy streams")
    yield Measure("replicas_fail", bad, "Streams that cannot be written")
    yield Measure("replicas_lagged", behind, "Streams with a copy that is silent or too far behind")
    yield from (Note(Level.CRITICAL, f"{each.stream} of {each.account} {in_words(each)}") for each in (*stalled, *late))
    if now.worst:
        count = now.others_not_writable + now.others_behind
        yield Note(Level.CRITICAL, f"{count} unhealthy other streams: {now.worst}")
    if not bad + behind:
        yield Note(Level.OK, f"{len(now.standard) + now.others} streams are healthy")


def _why_off(status: Status, store: StoreReport | None) -> str:
    if store is not None:
        return next((each for each in status.health.reasons if "Choria Streams" in each), "the engine has it disabled")
    return "Choria Streams are off, or the engine's pages were not read yet"


def _room(store: StoreReport, limits: Limits) -> Found:
    used, most = store.bytes_used, store.bytes_most
    part = int(used / most * _PERCENT) if most > 0 else 0
    yield Measure("storage", used, "Space that streams use", "B")
    yield limits.measure("storage_pct", part, "Space that streams use, in percent", "%")
    yield Note(limits.level(part), f"{part}% storage")
    if store.bytes_free is not None:
        yield Measure("disk_free", store.bytes_free, "Free space on the disk of the store", "B")


def stream(status: Status, name: str, account: str, limits: CopyLimits) -> Check:
    """Tell how a standard stream stands, in all accounts that have it or in one.

    Args:
        status: of the broker.
        name: of the stream.
        account: that has it, empty for all.
        limits: what is expected of its copies; without a number of them the settings have it.
    """
    return Check.of("stream", name, _stream(status, name, account, limits))


def bucket(status: Status, name: str, account: str) -> Check:
    """Tell how a key-value bucket stands that is a standard stream."""
    return Check.of("kv", name, _stream(status, f"KV_{name}", account, CopyLimits()))


def _stream(status: Status, name: str, account: str, limits: CopyLimits) -> Found:
    reports = [each for each in status.streams if each.stream == name and account in {"", each.account}]
    now = status.streams_now.standard if status.streams_now else ()
    if not reports:
        known = ", ".join(dict.fromkeys(each.stream for each in status.streams)) or "none"
        yield Note(
            Level.UNKNOWN,
            f"stream {name} is not a standard stream, and this check knows only those ({known}); use nats server check",
        )
    for report in reports:
        if report.reason:
            level = Level.CRITICAL if report.state is State.FAILED else Level.WARNING
            yield Note(level, f"account {report.account}: {report.state}: {report.reason}")
        standing = next((each for each in now if (each.account, each.stream) == (report.account, name)), None)
        if standing:
            expected = limits.expected if limits.expected is not None else report.replicas or None
            yield from _standing(standing, replace(limits, expected=expected), one=len(reports) == 1)
        elif report.state is State.NOT_MANAGED:
            yield Note(Level.OK, f"account {report.account}: not managed by the settings")
        elif not report.reason:
            yield Note(Level.UNKNOWN, f"account {report.account}: no copy on this broker, or not read yet")


def _standing(standing: StandingReport, limits: CopyLimits, *, one: bool) -> Found:
    if not standing.writable:
        yield Note(Level.CRITICAL, f"account {standing.account}: {in_words(standing)}")
        return
    place = "" if one else f"{standing.account.lower()}_"
    yield Note(Level.OK, f"account {standing.account}: {in_words(standing)}")
    if not standing.copies:
        return  # Only the leader knows of copies, and a stream with one has none.
    count = 1 + len(standing.copies)
    yield Measure(f"{place}peers", count, "Copies of the stream", "", limits.expected or 0, limits.expected or 0)
    if limits.expected is not None and count != limits.expected:
        yield Note(Level.CRITICAL, f"account {standing.account}: expected {limits.expected} replicas got {count}")
    yield from _copies(f"{place}peer", standing.copies, limits)
