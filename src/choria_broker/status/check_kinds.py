"""The checks of ``nats server check``, made from the status of a broker, which needs no login and loads nothing.

Those of streams are in ``stream_checks``.
"""

from __future__ import annotations

import msgspec

from choria_broker.settings import durations
from choria_broker.settings.durations import DAY
from choria_broker.stats.headroom import NEARLY, Headroom
from choria_broker.status.checks import Check, Found, Level, Limits, Measure, Note
from choria_broker.status.document import CertificateReport, Status
from choria_broker.status.drains import OFF
from choria_broker.status.health import Condition

_CONDITIONS = {Condition.OK: Level.OK, Condition.DEGRADED: Level.WARNING, Condition.DRAINING: Level.WARNING}


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
