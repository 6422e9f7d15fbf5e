"""The checks of ``nats server check``, made from the status of a broker, which needs no login and loads nothing.

What only a message to a stream would tell is not checked here: a kind says so, and what to use in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from choria_broker.settings import durations
from choria_broker.settings.durations import DAY
from choria_broker.stats.headroom import NEARLY, Headroom
from choria_broker.stats.standings import CopyState
from choria_broker.status.checks import Check, Found, Level, Measure, Note
from choria_broker.status.document import CertificateReport, Status, StoreReport
from choria_broker.status.drains import OFF
from choria_broker.status.health import Condition
from choria_broker.status.streams_now import CopyReport, StandingReport, in_words
from choria_broker.streams.report import State
from choria_broker.values import replace

_PERCENT = 100.0
_CONDITIONS = {Condition.OK: Level.OK, Condition.DEGRADED: Level.WARNING, Condition.DRAINING: Level.WARNING}


class Limits(msgspec.Struct, frozen=True):
    """Where levels begin; None: they do not.

    Attributes:
        warning, critical: a number of whatever is compared. With ``critical`` below ``warning``, few are a problem.
    """

    warning: float | None = None
    critical: float | None = None

    def level(self, value: float) -> Level:
        """Tell the level of a value."""
        inverted = self.warning is not None and self.critical is not None and self.critical < self.warning
        for level, limit in ((Level.CRITICAL, self.critical), (Level.WARNING, self.warning)):
            if limit is not None and (value <= limit if inverted else value >= limit):
                return level
        return Level.OK

    def low(self, value: float) -> Level:
        """Tell the level of a value that is to be large."""
        for level, limit in ((Level.CRITICAL, self.critical), (Level.WARNING, self.warning)):
            if limit is not None and value <= limit:
                return level
        return Level.OK

    def measure(self, name: str, value: float, meaning: str, unit: str = "") -> Measure:
        """Make the number with its thresholds."""
        return Measure(name, value, meaning, unit, self.warning or 0.0, self.critical or 0.0)

    @property
    def given(self) -> bool:
        """There is one."""
        return self.warning is not None or self.critical is not None


class ServerLimits(msgspec.Struct, frozen=True):
    """What is expected of a broker.

    Attributes:
        name: identity that it is to have, empty for any.
        connections, subscriptions: how many there may be, or have to be.
        memory: bytes.
        uptime: seconds that its engine has to have run.
        authentication: clients that present nothing are not let in.
        streams: Choria Streams are on.
    """

    name: str = ""
    connections: Limits = Limits()
    subscriptions: Limits = Limits()
    memory: Limits = Limits()
    uptime: Limits = Limits()
    authentication: bool = False
    streams: bool = False


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


def broker(status: Status) -> Check:
    """Tell how the broker says it is altogether, with every reason."""
    return Check.of("broker", status.identity, _broker(status))


def _broker(status: Status) -> Found:
    level = _CONDITIONS.get(Condition(status.health.condition), Level.CRITICAL)
    yield from (Note(level, reason) for reason in status.health.reasons or (status.health.sentence,))
    yield Measure("uptime", status.engine.uptime, "Seconds since the engine started", "s")
    yield Measure("pending_restart", len(status.pending_restart), "Settings that wait for a restart")
    yield Measure("left_out", len(status.left_out), "Features that are not in use because of the configuration")


def connection(status: Status, answered: float, limits: Limits) -> Check:
    """Tell whether the broker answers and lets connections in.

    Args:
        status: of the broker.
        answered: seconds that the answer took.
        limits: for that time.
    """
    return Check.of("connections", "Connection", _connection(status, answered, limits))


def _connection(status: Status, answered: float, limits: Limits) -> Found:
    if not status.engine.pid or status.engine.answers is False:
        yield Note(Level.CRITICAL, "the engine does not answer")
    else:
        yield Note(Level.OK, f"answered by {status.identity}, engine process {status.engine.pid}")
    if status.drain.state != OFF:
        yield Note(Level.WARNING, "the broker is draining and accepts no new connections")
    if not status.ports.get("client") and not status.ports.get("websocket"):
        yield Note(Level.CRITICAL, "no port for clients is open")
    yield Note(limits.level(answered), f"answer took {answered:.4f} s")
    yield limits.measure("connect_time", answered, "Time until the broker had answered", "s")
    if (used := _headroom(status, "connections")) and used.limit:
        full = Limits(NEARLY * used.limit, used.limit)
        if (level := full.level(used.used)) is not Level.OK:
            yield Note(level, f"{used.used} of at most {used.limit} connections are in use")
        yield full.measure("connections", used.used, "Active connections")


def server(status: Status, limits: ServerLimits) -> Check:
    """Tell whether a broker is as expected: its name, and numbers."""
    return Check.of("server", limits.name or status.identity, _server(status, limits))


def _server(status: Status, limits: ServerLimits) -> Found:
    if limits.name and limits.name != status.identity:
        yield Note(Level.CRITICAL, f"result from wrong server {status.identity}")
    if limits.streams:
        on = status.store is not None and status.store.enabled
        yield Note(Level.OK, "JetStream enabled") if on else Note(Level.CRITICAL, "JetStream not enabled")
    if limits.authentication:
        account = status.unverified_account
        wrong = f"Authentication not required: clients that present nothing are accepted into account {account}"
        yield Note(Level.CRITICAL, wrong) if account else Note(Level.OK, "Authentication required")
    uptime = status.engine.uptime
    if limits.uptime.given:
        yield Note(limits.uptime.low(uptime), f"Up {durations.for_people(uptime)}")
    yield limits.uptime.measure("uptime", uptime, "NATS Server uptime in seconds", "s")
    for what, name, title, expected in (
        ("memory", "mem", "Memory", limits.memory),
        ("connections", "connections", "Connections", limits.connections),
        ("subscriptions", "subscriptions", "Subscriptions", limits.subscriptions),
    ):
        used = _headroom(status, what)
        if used:
            yield expected.measure(name, used.used, f"{title} in use", "B" if what == "memory" else "")
        if expected.given and used:
            yield Note(expected.level(used.used), f"{title} {used.used}")
        elif expected.given:
            yield Note(Level.UNKNOWN, f"{title} not known yet; ask again in ten seconds")


def _headroom(status: Status, what: str) -> Headroom | None:
    return next((each for each in status.headroom if each.what == what), None)


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


def credential(status: Status, limits: Limits) -> Check:
    """Tell how long the certificates are good that the broker works with.

    Args:
        status: of the broker.
        limits: seconds that are to be left.
    """
    return Check.of("credential", "Credential", _credential(status, limits))


def _credential(status: Status, limits: Limits) -> Found:
    if not status.certificates:
        yield Note(Level.UNKNOWN, "no certificate was read")
        return
    needed = [each for each in status.certificates if _needed(each, status)]
    first = min(needed, key=lambda each: each.days_left)
    yield limits.measure("expiry", first.days_left * DAY, "Time until the first certificate expires", "s")
    for each in sorted(needed, key=lambda each: each.days_left):
        left = each.days_left * DAY
        level = Level.CRITICAL if left <= 0 else limits.low(left)
        ends = "has expired" if left <= 0 else f"expires in {each.days_left:g} days"
        if level is not Level.OK:
            yield Note(level, f"{each.role} certificate in {each.file} {ends}")
    yield Note(Level.OK, f"{len(needed)} certificates, the first of {first.file}, days left: {first.days_left:g}")


def _needed(certificate: CertificateReport, status: Status) -> bool:
    """Tell whether a certificate counts: a CA that is being replaced, and on which nothing hangs, may end."""
    if certificate.role != "ca" or status.authorities is None:
        return True
    last = max(each.expires for each in status.certificates if each.role == "ca")
    used = {(each.subject, each.expires) for each in status.authorities.authorities if each.connections}
    return certificate.expires == last or (certificate.subject, certificate.expires) in used


def credentials_file(path: str, expires: float | None, now: float, limits: Limits, *, required: bool) -> Check:
    """Tell how long a credentials file is good.

    Args:
        path: where it is.
        expires: when its token ends, Unix seconds; None for never.
        now: Unix seconds.
        limits: seconds that are to be left.
        required: it has to end at some time.
    """
    left = None if expires is None else expires - now

    def found() -> Found:
        if left is None:
            yield Note(Level.CRITICAL if required else Level.OK, f"{path} never expires")
            return
        yield limits.measure("expiry", left, "Expiry time in seconds", "s")
        level = Level.CRITICAL if left <= 0 else limits.low(left)
        yield Note(level, f"{path} {'has expired' if left <= 0 else f'expires in {durations.for_people(left)}'}")

    return Check.of("credential", "Credential", found())


def unavailable(kind: str, name: str, why: str, *, down: bool) -> Check:
    """Make the check of a broker that could not be asked.

    Args:
        kind: of the check.
        name: of it.
        why: what is the matter.
        down: it does not run, or does not answer; otherwise it is only not known how it is.
    """
    return Check(kind, name, (Note(Level.CRITICAL if down else Level.UNKNOWN, why),))
