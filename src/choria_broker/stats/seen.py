"""What of readings and counts goes into the history."""

from __future__ import annotations

from collections.abc import Mapping

from choria_broker.access import rules
from choria_broker.access.waiting import Waiting
from choria_broker.audit.trail import AuditCounts
from choria_broker.host.facts import HostUse
from choria_broker.stats.history import Kept
from choria_broker.stats.readings import Readings


def of_readings(readings: Readings) -> Mapping[Kept, float | None]:
    """Tell what is kept of a reading of the engine's pages."""
    server = readings.server
    return {
        Kept.CONNECTIONS: server.connections,
        Kept.MESSAGES_IN: server.in_msgs,
        Kept.MESSAGES_OUT: server.out_msgs,
        Kept.BYTES_IN: server.in_bytes,
        Kept.BYTES_OUT: server.out_bytes,
        Kept.SLOW_CONSUMERS: server.slow_consumers,
        Kept.STORE: readings.streams.store_used if readings.streams and readings.streams.enabled else None,
    }


def of_counts(
    counts: AuditCounts, use: HostUse | None, waiting: Waiting | None, logins: int | None = None
) -> Mapping[Kept, float | None]:
    """Tell what is kept of the broker's own counts.

    Args:
        counts: of decisions.
        use: what the processes use, None while it is not known.
        waiting: who waits for provisioning, None on a broker that has none.
        logins: connections that the engine has let in; None where the broker decides on them.
    """
    decided = {"accepted": 0, "refused": 0}
    for (result, _), count in counts.decisions.items():
        decided[result] += count
    return {
        Kept.LOGINS: decided["accepted"] if logins is None else logins,
        Kept.REFUSALS: decided["refused"] + counts.engine_refusals.total(),
        Kept.DECISIONS: counts.latency.total,
        Kept.DECIDING: counts.latency.seconds,
        Kept.BROKER_CPU: use.broker.cpu if use else None,
        Kept.ENGINE_CPU: use.engine.cpu if use else None,
        Kept.BROKER_MEMORY: use.broker.memory if use else None,
        Kept.ENGINE_MEMORY: use.engine.memory if use else None,
        Kept.NODES: waiting.nodes if waiting else None,
        Kept.NODE_LOGINS: counts.decisions["accepted", rules.PROVISIONEE.name] if waiting else None,
    }
