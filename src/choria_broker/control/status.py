"""How a running broker is, put together for the control socket and the status pages."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from choria_broker import __version__
from choria_broker.audit import Audit, Decision
from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Settings
from choria_broker.control.protocol import Overview, RecentDecision, Status, StreamStatus, StreamTrouble
from choria_broker.control.report import (
    CertificateReport,
    EngineReport,
    HealthReport,
    LeftOut,
    Peers,
    Remote,
    StoreReport,
)
from choria_broker.engine.frames import Ports
from choria_broker.stats import own
from choria_broker.stats.certificates import Certificate
from choria_broker.stats.families import Family
from choria_broker.stats.health import Health, assess, days_left
from choria_broker.stats.readings import Readings
from choria_broker.stats.service import BrokerStatistics
from choria_broker.stats.signs import Observations, signs
from choria_broker.streams.ledger import Ledger, Noted
from choria_broker.streams.trouble import Kind

_ADDRESSES = 50
_DECISIONS = 20


@dataclasses.dataclass(frozen=True, slots=True)
class EngineProcess:
    """The engine as the broker knows it without asking.

    Attributes:
        nats: version of the nats-server library in it.
        pid: process id, 0 while there is none.
        since: when it started, Unix seconds.
        ports: ports it listens on.
        alive: it runs.
    """

    nats: str
    pid: int
    since: float
    ports: Ports
    alive: bool


class Teller:
    """Tells how a broker is.

    Args:
        settings: gives what the broker is told by now.
        findings: gives what was found while these were read.
        engine: gives what is known of the engine.
        audit: its trail of decisions.
        ledger: what became of its standard streams.
        statistics: what it measures.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        findings: Callable[[], tuple[Finding, ...]],
        engine: Callable[[], EngineProcess],
        *,
        audit: Audit,
        ledger: Ledger,
        statistics: BrokerStatistics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Remember whom to ask; the broker counts as started now."""
        self._settings = settings
        self._findings = findings
        self._engine = engine
        self._audit = audit
        self._ledger = ledger
        self._statistics = statistics
        self._clock = clock
        self._since = clock()

    def health(self) -> Health:
        """Tell the health."""
        statistics, engine, settings = self._statistics, self._engine(), self._settings()
        observed = Observations(
            engine=engine.alive and statistics.poller.answering is not False,
            readings=statistics.poller.latest,
            links=statistics.links,
            certificates=statistics.certificates,
            streams=self._ledger.reports,
            streams_off=next(
                (noted.trouble.words for noted in self._ledger.troubles if noted.trouble.kind is Kind.STREAMS_OFF), ""
            ),
        )
        return assess(signs(settings, self._findings(), observed), self._clock())

    def families(self) -> tuple[Family, ...]:
        """Tell the health as metrics."""
        return (own.health(self.health().condition, self._settings().identity),)

    def overview(self) -> Overview:
        """Tell what everybody may know who may read the statistics."""
        return Overview(**self._public())

    def status(self) -> Status:
        """Tell everything."""
        audit = self._audit
        return Status(
            **self._public(),
            refused_addresses=audit.recently_refused(_ADDRESSES),
            recent=tuple(_short(decision) for decision in itertools.islice(reversed(audit.recent), _DECISIONS)),
        )

    def _public(self) -> dict[str, Any]:
        settings, engine, now = self._settings(), self._engine(), self._clock()
        statistics, operator, health = self._statistics, settings.network.operator, self.health()
        readings = statistics.poller.latest
        return {
            "identity": settings.identity,
            "version": __version__,
            "nats": engine.nats,
            "pid": os.getpid(),
            "source": str(settings.source),
            "since": self._since,
            "ports": {name: port for name, port in msgspec.structs.asdict(engine.ports).items() if port},
            "accepted": self._audit.counts(allowed=True),
            "refused": self._audit.counts(allowed=False),
            "unverified_account": settings.network.unverified_account,
            "operator": operator.name if operator else "",
            "accounts": tuple(account.name for account in operator.accounts) if operator else (),
            "streams": tuple(StreamStatus(**dataclasses.asdict(report)) for report in self._ledger.reports),
            "stream_troubles": tuple(_trouble(noted) for noted in self._ledger.troubles),
            "store": _store(readings) if settings.network.streams.store else None,
            "health": HealthReport(health.condition.value, health.sentence, health.reasons),
            "engine": EngineReport(
                engine.pid, round(now - engine.since, 1) if engine.pid else 0.0, statistics.poller.answering
            ),
            "peers": _peers(settings, readings),
            "remotes": self._remotes(),
            "certificates": tuple(_certificate(each, now) for each in statistics.certificates),
            "left_out": tuple(_left_out(each) for each in self._findings() if each.severity is Severity.SKIP),
        }

    def _remotes(self) -> tuple[Remote, ...]:
        """Without readings there are no links, only what the settings name."""
        linked = {(link.kind.value, link.name): link for link in self._statistics.links}
        network = self._settings().network
        named = [("gateway", each.name) for each in network.gateway.remotes if each.name != network.gateway.name]
        named += [("leafnode", each.name) for each in network.leafnodes.remotes]
        remotes = []
        for kind, name in named:
            link = linked.get((kind, name))
            remotes.append(Remote(kind, name, link.connected, link.rtt_ms) if link else Remote(kind, name))
        return tuple(remotes)


def _peers(settings: Settings, readings: Readings | None) -> Peers:
    configured = tuple(route.authority for route in settings.network.cluster.routes)
    return Peers(configured, tuple(sorted(readings.peers)) if readings else None)


def _store(readings: Readings | None) -> StoreReport | None:
    streams = readings.streams if readings else None
    if streams is None:
        return None
    return StoreReport(
        streams.enabled, streams.streams, streams.consumers, streams.messages, streams.store_used, streams.store_max
    )


def _certificate(found: Certificate, now: float) -> CertificateReport:
    left = days_left(found.expires, now)
    return CertificateReport(found.source.role.value, str(found.source.file), found.subject, found.expires, left)


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
    )
