"""How a running broker is, put together for the control socket and the status pages."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from choria_broker import __version__
from choria_broker.access.waiting import Waiting
from choria_broker.audit.decided import Decision
from choria_broker.audit.trail import Audit
from choria_broker.engine.events import KeyProcessCounts, Queue, Signings
from choria_broker.engine.life import EngineLife
from choria_broker.host.succession import Succession
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding
from choria_broker.stats.authorities import Uses
from choria_broker.stats.certificates import Certificate
from choria_broker.stats.links import Link
from choria_broker.stats.membership import Membership
from choria_broker.stats.readings import Readings
from choria_broker.stats.service import BrokerStatistics
from choria_broker.status.document import (
    AuthoritiesReport,
    AuthorityReport,
    CertificateReport,
    EngineReport,
    HealthReport,
    KeyProcessesReport,
    LeftOut,
    LoginsReport,
    Overview,
    Peers,
    ProvisioningReport,
    RecentDecision,
    Status,
    StoreReport,
    StreamTrouble,
    UpgradeReport,
)
from choria_broker.status.drains import OFF, DrainReport
from choria_broker.status.health import Health, assess, days_left
from choria_broker.status.reloads import FileProblem, PendingRestart, ReloadReport
from choria_broker.status.revocation import revocation_report
from choria_broker.status.streams_now import streams_now
from choria_broker.status.symptoms import Observations, symptoms
from choria_broker.status.watch import HealthWatch
from choria_broker.streams.ledger import Ledger, Noted


class Reloaded(Protocol):
    """Knows of the reloads of a broker."""

    @property
    def latest(self) -> ReloadReport | None:
        """What came of the last one."""
        ...

    @property
    def last_success(self) -> float:
        """When the last one ended that was not refused, Unix seconds."""
        ...

    @property
    def refusal(self) -> str:
        """Why the last one of the whole configuration changed nothing, empty when it was not refused."""
        ...

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """Changed files that cannot be used, and why."""
        ...


class Drained(Protocol):
    """Knows of the drains of a broker."""

    @property
    def report(self) -> DrainReport:
        """How far the one under way is, or that there is none."""
        ...


class Acts(msgspec.Struct, frozen=True):
    """What operators do to a broker.

    Attributes:
        reloads: its reloads.
        drains: its drains.
    """

    reloads: Reloaded
    drains: Drained


_ADDRESSES = 50
_DECISIONS = 20
_CHANGES = 10
_LINK_TROUBLES = 20
_UNLISTED_LINKS = 100
"""Links that others made without being asked to: a hub has any number of leafnodes."""
_SINCE = "running since"


class StatusReporter:
    """Tells how a broker is.

    Args:
        settings: what the broker was told.
        engine: the engine.
        audit: its trail of decisions.
        ledger: what became of its standard streams.
        statistics: what it measures.
        acts: what operators do to it.
        clock: Unix time in seconds.

    Attributes:
        upgrade: the last upgrade, None before the first.
        watch: looks at the health.
    """

    def __init__(
        self,
        settings: Settings,
        engine: EngineLife,
        *,
        audit: Audit,
        ledger: Ledger,
        statistics: BrokerStatistics,
        acts: Acts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Remember whom to ask; the broker counts as started now."""
        self.apply(settings, ())
        self._engine = engine
        self._audit = audit
        self._ledger = ledger
        self._statistics = statistics
        self._reloads, self._drains = acts.reloads, acts.drains
        self._clock = clock
        self._since = clock()
        self.upgrade: UpgradeReport | None = None
        self.watch = HealthWatch(self.health, statistics.interval, clock)
        statistics.news = self.watch.news

    def remember(self, succession: Succession) -> None:
        """Tell the next program since when the broker runs."""
        succession.tell(_SINCE, self._since)
        self.watch.remember(succession)

    def recall(self, succession: Succession) -> None:
        """The broker runs since the first program of its process."""
        self._since = succession.told(_SINCE, float) or self._since
        self.watch.recall(succession)

    def apply(
        self, settings: Settings, findings: tuple[Finding, ...], pending: tuple[PendingRestart, ...] = ()
    ) -> None:
        """Take over what comes into force, and what waits for a restart."""
        self._settings, self._findings, self._pending = settings, findings, pending

    def health(self) -> Health:
        """Tell the health."""
        statistics, engine, settings = self._statistics, self._engine, self._settings
        drain = self._drains.report
        observed = Observations(
            engine=engine.alive and not statistics.silent,
            readings=statistics.poller.latest,
            membership=statistics.acquaintance.membership,
            links=statistics.links,
            certificates=statistics.certificates,
            authorities=statistics.authorities,
            streams=self._ledger.reports,
            store_free=statistics.disk.free,
            streams_losses=self._ledger.losses,
            streams_off=self._ledger.off,
            reload_refused=self._reloads.refusal,
            file_problems=self._reloads.problems,
            draining="" if drain.state == OFF else drain.sentence,
            key_processes=engine.keys.counts,
            provisioning=statistics.provisioning,
            headroom=statistics.headroom,
            companions=statistics.companions,
        )
        return assess(symptoms(settings, self._findings, observed, self._clock()), self._clock())

    def overview(self) -> Overview:
        """Tell what everybody may know who may read the statistics."""
        return Overview(**self._public())

    def status(self) -> Status:
        """Tell everything."""
        audit = self._audit
        return Status(
            **self._public(),
            refused_addresses=audit.recently_refused(_ADDRESSES),
            denied=audit.denied.latest(_ADDRESSES),
            recent=tuple(_short(decision) for decision in itertools.islice(reversed(audit.recent), _DECISIONS)),
        )

    def _public(self) -> dict[str, Any]:
        return {**self._about(), **self._observed(), **self._changed()}

    def _about(self) -> dict[str, Any]:
        """Tell what the broker is, and what it has decided."""
        settings, operator = self._settings, self._settings.network.operator
        return {
            "identity": settings.identity,
            "version": __version__,
            "nats": self._engine.nats,
            "pid": os.getpid(),
            "source": str(settings.source),
            "since": self._since,
            "ports": self._engine.ports.told,
            "accepted": self._audit.decided(allowed=True),
            "refused": self._audit.decided(allowed=False),
            "engine_refused": {cause: count for cause, count in self._audit.counts.engine_refusals.items() if count},
            "unverified_account": settings.network.unverified_account,
            "operator": operator.name if operator else "",
            "accounts": tuple(account.name for account in operator.accounts) if operator else (),
        }

    def _observed(self) -> dict[str, Any]:
        """Tell what is seen of the engine, the network and the store."""
        settings, engine, now = self._settings, self._engine, self._clock()
        statistics, health = self._statistics, self.health()
        readings = statistics.poller.latest
        return {
            "streams": self._ledger.reports,
            "stream_troubles": tuple(_trouble(noted) for noted in self._ledger.troubles),
            "streams_now": streams_now(
                readings.standings if readings and settings.network.streams.store else None,
                {(each.account, each.stream) for each in self._ledger.reports},
            ),
            "store": _store(settings, readings, statistics.disk.free),
            "health": HealthReport(
                health.condition.value, health.sentence, health.reasons, tuple(map(str, health.kinds))
            ),
            "health_since": self.watch.book.since,
            "health_changes": self.watch.book.changes[:_CHANGES],
            "engine": EngineReport(
                engine.pid,
                round(now - engine.since, 1) if engine.pid else 0.0,
                False if statistics.silent else statistics.poller.answering,
            ),
            "key_processes": _key_processes(engine.keys.counts, engine.counters.signings),
            "logins": _logins(engine.counters.queue),
            "peers": _peers(statistics.acquaintance.membership, readings),
            "links": _links(statistics.links),
            "link_troubles": statistics.link_troubles.latest[:_LINK_TROUBLES],
            "certificates": tuple(_certificate(each, now) for each in statistics.certificates),
            "authorities": _authorities(statistics.authorities, now),
            "revocation": revocation_report(settings.network.revocation, statistics.ended, now),
            "expiring_tokens": {
                f"{organization} {issuer}".strip(): count
                for (organization, issuer), count in statistics.expiring_tokens.items()
                if count
            },
            "headroom": statistics.headroom,
            "provisioning": _provisioning(statistics.provisioning),
            "companions": statistics.companions,
        }

    def _changed(self) -> dict[str, Any]:
        """Tell what came of reloads, drains and upgrades, and what of the configuration is not in use."""
        return {
            "pending_restart": self._pending,
            "reload": self._reloads.latest,
            "last_success": self._reloads.last_success,
            "file_problems": self._reloads.problems,
            "drain": self._drains.report,
            "upgrade": self.upgrade,
            "left_out": tuple(_left_out(each) for each in self._findings if each.severity is Severity.SKIP),
        }


def _key_processes(counts: KeyProcessCounts, signings: Signings) -> KeyProcessesReport:
    failed = signings.late + signings.overflow + signings.refused
    return KeyProcessesReport(counts.running, counts.wanted, counts.restarts, signings.signed, failed)


def _logins(queue: Queue) -> LoginsReport:
    return LoginsReport(queue.waiting, queue.at_once, queue.waited, queue.in_vain)


def _peers(membership: Membership, readings: Readings | None) -> Peers:
    return Peers(membership.expected, membership.connected if readings else None)


def _links(found: Sequence[Link]) -> tuple[Link, ...]:
    unlisted = [link for link in found if not link.listed][:_UNLISTED_LINKS]
    return (*(link for link in found if link.listed), *unlisted)


def _provisioning(found: Waiting | None) -> ProvisioningReport | None:
    if found is None:
        return None
    return ProvisioningReport(
        found.nodes, found.oldest, found.provisioners, found.elsewhere, found.silent, found.stalled
    )


def _store(settings: Settings, readings: Readings | None, free: int | None) -> StoreReport | None:
    streams, path = readings.streams if readings else None, settings.network.streams.store
    if streams is None or path is None:
        return None
    return StoreReport(
        streams.enabled,
        streams.streams,
        streams.consumers,
        streams.messages,
        streams.store_used,
        streams.store_max,
        free,
        str(path),
    )


def _certificate(found: Certificate, now: float) -> CertificateReport:
    left = days_left(found.expires, now)
    return CertificateReport(found.source.role.value, str(found.source.file), found.subject, found.expires, left)


def _authorities(found: Uses | None, now: float) -> AuthoritiesReport | None:
    if found is None:
        return None
    reports = tuple(
        AuthorityReport(
            subject=each.authority.subject,
            fingerprint=each.authority.fingerprint,
            expires=each.authority.expires,
            days_left=days_left(each.authority.expires, now),
            files=tuple(map(str, each.authority.files)),
            connections=each.connections,
        )
        for each in found.authorities
    )
    return AuthoritiesReport(reports, found.without_certificate, found.clear_text, found.time)


def _left_out(finding: Finding) -> LeftOut:
    return LeftOut(finding.code, finding.key, str(finding.origin), finding.problem, finding.remedy)


def _trouble(noted: Noted) -> StreamTrouble:
    trouble = noted.trouble
    return StreamTrouble(
        trouble.kind.value, trouble.account, trouble.stream, trouble.words, trouble.remedy, noted.times, noted.last
    )


def _short(decision: Decision) -> RecentDecision:
    return RecentDecision(
        time=decision.time,
        connection=decision.connection_id,
        address=decision.address,
        kind=decision.kind,
        allowed=decision.allowed,
        rule=decision.rule,
        account=decision.account,
        username=decision.username,
        common_name=decision.common_name,
        serial=decision.serial,
        fingerprint=decision.fingerprint,
    )
