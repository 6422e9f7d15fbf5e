"""Everything that is shown as metrics, at one moment, and how one of them is named."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence

import msgspec

from choria_broker import __version__
from choria_broker.access.waiting import Waiting
from choria_broker.audit.trail import AuditCounts
from choria_broker.build_info import UNKNOWN
from choria_broker.companions.reports import CompanionReport
from choria_broker.companions.tally import Counts
from choria_broker.engine.counters import GateCounters
from choria_broker.engine.events import KeyProcessCounts
from choria_broker.settings.findings import Finding
from choria_broker.stats.authorities import Uses
from choria_broker.stats.certificates import Certificate
from choria_broker.stats.families import Metric, MetricType, Values
from choria_broker.stats.headroom import Headroom
from choria_broker.stats.links import Link
from choria_broker.stats.membership import Membership
from choria_broker.stats.readings import Readings
from choria_broker.stats.revoked import NOTHING, Revoked
from choria_broker.stats.tallies import Tallies
from choria_broker.streams.ledger import StreamCounts

YES_NO = ("no", "yes")
"""Values of a label that says whether something is so."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is shown as metrics, at one moment.

    Attributes:
        identity: of the broker, a label of nearly all metrics.
        version, sha: of the program, and revision of its source.
        audit, gate, streams, tallies: what parts of the broker count.
        key_processes: the processes that hold private keys.
        log_lines_dropped: lines of the log that nobody took in time.
        figures: what further parts tell of themselves, by the names of their own.
        pending_restart: settings that were changed and that only a restart takes over.
        revoked: what is revoked.
        provisioning: who waits for provisioning; None on a broker that has none.
        expiring_tokens: sessions whose token ends within a day, by organization and key of the issuer.
        headroom: how much of everything that is limited is used.
        health: the condition the broker is in.
        health_since: since when, Unix seconds; 0 in the first moments.
        health_changes: how often it has changed, by what it became.
        findings: what was found while the settings were read.
        unverified_account: clients that present nothing are let into an account.
        certificates: those the broker works with.
        authorities: CAs, and the connections that hang on them; None before they were counted.
        membership: the other members of the cluster.
        links: links to other brokers.
        readings: what the engine's pages told, None while nobody reads them.
        store: where streams are stored, empty without them.
        companions: adapters and the federation broker.
        companion_counts: what they count.
        store_free: bytes that are left on its disk, None when that is not known.
    """

    identity: str
    version: str = __version__
    sha: str = UNKNOWN
    audit: AuditCounts = msgspec.field(default_factory=AuditCounts)
    gate: GateCounters = msgspec.field(default_factory=GateCounters)
    streams: StreamCounts = msgspec.field(default_factory=StreamCounts)
    tallies: Tallies = msgspec.field(default_factory=Tallies)
    key_processes: KeyProcessCounts = KeyProcessCounts()
    log_lines_dropped: int = 0
    figures: Mapping[str, Values] = msgspec.field(default_factory=dict)
    pending_restart: Sequence[str] = ()
    revoked: Revoked = NOTHING
    provisioning: Waiting | None = None
    expiring_tokens: Mapping[tuple[str, str], int] = msgspec.field(default_factory=dict)
    headroom: Sequence[Headroom] = ()
    health: enum.StrEnum | None = None
    health_since: float = 0.0
    health_changes: Mapping[str, int] = msgspec.field(default_factory=dict)
    findings: Sequence[Finding] = ()
    unverified_account: bool = False
    certificates: Sequence[Certificate] = ()
    authorities: Uses | None = None
    membership: Membership = msgspec.field(default_factory=Membership)
    links: Sequence[Link] = ()
    readings: Readings | None = None
    store: str = ""
    store_free: int | None = None
    companions: Sequence[CompanionReport] = ()
    companion_counts: Counts = msgspec.field(default_factory=dict)


Take = Callable[[Measured], Values]
"""Takes the values of a metric."""


def figure(name: str) -> Take:
    """Take what a part tells under a name of its own; nothing on a broker without that part."""
    return lambda at: at.figures.get(name)


def counter(name: str, text: str, values: Take, labels: str = "") -> Metric[Measured]:
    """Name a metric that counts up."""
    return Metric(name, MetricType.COUNTER, text, values, tuple(labels.split()))


def gauge(name: str, text: str, values: Take, labels: str = "") -> Metric[Measured]:
    """Name a metric that goes up and down."""
    return Metric(name, MetricType.GAUGE, text, values, tuple(labels.split()))


def histogram(name: str, text: str, values: Take) -> Metric[Measured]:
    """Name a metric that counts durations by class."""
    return Metric(name, MetricType.HISTOGRAM, text, values)


def summary(name: str, text: str, values: Take) -> Metric[Measured]:
    """Name a metric that counts and adds up durations."""
    return Metric(name, MetricType.SUMMARY, text, values)
