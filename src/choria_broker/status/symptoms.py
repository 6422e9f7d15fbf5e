"""From what the parts of a broker know to the signs its health is told by."""

from __future__ import annotations

import collections
import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec

from choria_broker.access.waiting import Waiting
from choria_broker.companions.reports import CompanionReport, State
from choria_broker.engine.events import KeyProcessCounts
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding
from choria_broker.stats.authorities import Uses
from choria_broker.stats.certificates import Certificate, Role
from choria_broker.stats.headroom import Headroom
from choria_broker.stats.link_troubles import CAUSES
from choria_broker.stats.links import Link, LinkKind
from choria_broker.stats.membership import Membership
from choria_broker.stats.readings import Readings
from choria_broker.status.health import Symptoms, Validity
from choria_broker.status.reloads import FileProblem
from choria_broker.status.streams_now import StoreRoom, concerns
from choria_broker.streams.report import Report

_AILING = frozenset({State.WAITING, State.RESTARTING, State.GIVEN_UP})
_NAMED = 3
"""Streams that a sentence names."""


class Observations(msgspec.Struct, frozen=True):
    """What is known at one moment.

    Attributes:
        engine: the engine runs and, where it is asked, answers.
        readings: what the engine's pages told, None while nobody reads them.
        membership: the other members of the cluster.
        links: links to other brokers.
        certificates: those the broker works with.
        authorities: CAs and what hangs on them; None before that was counted.
        streams: the standard streams.
        store_free: bytes that are left on the disk of the store, None when that is not known.
        streams_off: why the engine turned Choria Streams off, empty when it did not say.
        streams_losses: what of streams was lost since the start, each a sentence without its full stop.
        reload_refused: why the last reload changed nothing, empty when it was not refused.
        file_problems: files that were changed and cannot be used.
        draining: how far a drain is, empty without one.
        key_processes: the processes that hold private keys.
        provisioning: who waits for provisioning; None on a broker that has none.
        headroom: how much of everything that is limited is used.
        companions: adapters and the federation broker.
    """

    engine: bool
    readings: Readings | None = None
    membership: Membership = msgspec.field(default_factory=Membership)
    links: Sequence[Link] = ()
    certificates: Sequence[Certificate] = ()
    authorities: Uses | None = None
    streams: Sequence[Report] = ()
    store_free: int | None = None
    streams_off: str = ""
    streams_losses: Sequence[str] = ()
    reload_refused: str = ""
    file_problems: Sequence[FileProblem] = ()
    draining: str = ""
    key_processes: KeyProcessCounts = KeyProcessCounts()
    provisioning: Waiting | None = None
    headroom: Sequence[Headroom] = ()
    companions: Sequence[CompanionReport] = ()


def symptoms(settings: Settings, findings: Iterable[Finding], observed: Observations, now: float) -> Symptoms:
    """Make the signs.

    What only the engine's pages tell counts as well while nobody reads them.

    Args:
        settings: what the broker was told.
        findings: what was found while the settings were read.
        observed: what is known.
        now: Unix seconds.
    """
    readings = observed.readings
    return Symptoms(
        engine=observed.engine,
        streams_problem=_streams_problem(settings, observed),
        peers_configured=len(observed.membership.expected) if readings else 0,
        peers_connected=len(observed.membership.connected) if readings else 0,
        links_down=tuple(down(link) for link in observed.links if link.connected is False),
        members_down=sum(link.kind is LinkKind.MEMBER and link.connected is False for link in observed.links),
        streams_degraded=(
            *_streams_now(settings, observed),
            *_not_kept(observed.streams),
            *observed.streams_losses,
        ),
        certificates=validities(observed.certificates, observed.authorities),
        crls_overdue=tuple(
            f"of {each.issuer} in {each.file}" for each in settings.network.revocation.crls if each.overdue(now)
        ),
        reload_refused=observed.reload_refused,
        files_not_used=tuple(each.why for each in observed.file_problems),
        draining=observed.draining,
        companions_ailing=tuple(each.sentence for each in observed.companions if each.state in _AILING),
        nothing_works=not settings.network_enabled and _none_works(observed.companions),
        nearly_used=tuple(each.warning for each in observed.headroom if each.warning),
        keys_short=_keys_short(observed.key_processes),
        provisioning_stalled=observed.provisioning is not None and observed.provisioning.stalled,
        features_left_out=sum(finding.times for finding in findings if finding.severity is Severity.SKIP),
    )


def down(link: Link) -> str:
    """Tell that a link does not stand, since when and why, in a sentence without its full stop."""
    since = f" since {dt.datetime.fromtimestamp(link.since, dt.UTC):%Y-%m-%d %H:%M} UTC" if link.since else ""
    why = f": {CAUSES.get(link.cause, link.cause)}" if link.cause else ""
    return f"{link.kind} {link.name} is not connected{since}{why}"


def _keys_short(keys: KeyProcessCounts) -> str:
    if not keys.failing:
        return ""
    return f"{keys.failing} of {keys.wanted} key processes, which sign for TLS, end again and again; see the log"


def _none_works(companions: Sequence[CompanionReport]) -> bool:
    return bool(companions) and all(each.state in _AILING for each in companions)


def validities(certificates: Sequence[Certificate], authorities: Uses | None = None) -> tuple[Validity, ...]:
    """Tell which certificates are vital: all of the broker's own chain, and the last of its CAs to expire.

    A CA on which nothing hangs, and that is not the last, may end: while one is replaced by another, both are there.
    """
    used = {each.authority.fingerprint for each in authorities.authorities if each.connections} if authorities else None
    last = max((each.expires for each in certificates if each.source.role is Role.CA), default=0.0)
    return tuple(
        Validity(
            str(each.source.file),
            each.expires,
            each.source.role is Role.BROKER or (each.source.role is Role.CA and each.expires == last),
        )
        for each in certificates
        if each.source.role is not Role.CA or each.expires == last or used is None or each.fingerprint in used
    )


def _streams_now(settings: Settings, observed: Observations) -> Iterable[str]:
    """Tell what is wrong with streams at this moment; nothing when there are none, for that is told by itself."""
    store, readings = settings.network.streams.store, observed.readings
    if not store or _streams_problem(settings, observed):
        return
    standard = {(each.account, each.stream) for each in observed.streams}
    yield from concerns(readings.standings if readings else None, standard, observed.membership.connected)
    if shortage := StoreRoom(store, observed.store_free, readings.streams if readings else None).shortage:
        yield shortage


def _not_kept(streams: Sequence[Report]) -> Iterable[str]:
    """Tell which standard streams are not as the settings want them; those with one reason together."""
    alike = collections.defaultdict[tuple[str, str, str], list[str]](list)
    for each in streams:
        if each.reason:
            alike[each.account, str(each.state), each.reason].append(each.stream)
    for (account, state, reason), names in alike.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        which = f"stream {names[0]}" if len(names) == 1 else f"streams {', '.join(names[:_NAMED])}{more}"
        yield f"{which} of account {account} {'is' if len(names) == 1 else 'are'} {state}: {reason}"


def _streams_problem(settings: Settings, observed: Observations) -> str:
    streams = observed.readings.streams if observed.readings else None
    if not settings.network.streams.store or streams is None or streams.enabled:
        return ""
    return observed.streams_off or "the engine has disabled them, see its log for the reason"
