"""What the statistics are told by the parts of a broker."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from choria_broker.access.waiting import Waiting
from choria_broker.audit.trail import AuditCounts
from choria_broker.companions.reports import CompanionReport
from choria_broker.companions.tally import Counts
from choria_broker.engine.life import EngineLife
from choria_broker.stats.families import Values
from choria_broker.streams.ledger import StreamCounts


@runtime_checkable
class Counting(Protocol):
    """A part of a broker that counts, or knows numbers.

    Every part that has this is asked: a new metric is a number here, and its row in the table of metrics.
    """

    @property
    def figures(self) -> Mapping[str, Values]:
        """What is shown of it as metrics, by names that no other part has."""
        ...


class Companions(Protocol):
    """Knows of adapters and the federation broker."""

    @property
    def reports(self) -> tuple[CompanionReport, ...]:
        """How they are."""
        ...

    def counts(self) -> Counts:
        """Return everything that they count."""
        ...


class HealthChanges(Protocol):
    """Knows of changes of health.

    Attributes:
        since: since when the condition lasts, Unix seconds; 0 in the first moments.
        counts: how often health changed to each condition.
    """

    since: float
    counts: dict[str, int]


class Sessions(Protocol):
    """Has counted the sessions."""

    @property
    def provisioning(self) -> Waiting | None:
        """Who waits for provisioning; None on a broker that has none."""
        ...

    @property
    def expiring(self) -> Mapping[tuple[str, str], int]:
        """Sessions whose token ends within a day, by organization and key of the issuer."""
        ...


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the parts of a broker tell of themselves.

    Attributes:
        audit: counts of the trail of decisions.
        streams: counts of the ledger of streams.
        figures: gives what other parts tell of themselves, by the names of their own.
        engine: the engine.
        sessions: counts of sessions.
        ended: sessions that were ended because of revocation or expiry, by cause.
        health: gives the condition the broker is in, one of all it can be in.
        companions: adapters and the federation broker.
        health_changes: gives how often it has changed, and since when it is what it is.
    """

    audit: AuditCounts
    streams: StreamCounts
    figures: Callable[[], Mapping[str, Values]]
    engine: EngineLife
    sessions: Sessions
    companions: Companions
    health: Callable[[], enum.StrEnum]
    health_changes: Callable[[], HealthChanges]
    ended: Mapping[str, int] = msgspec.field(default_factory=dict)
