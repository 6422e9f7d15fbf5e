"""The audit trail: each decision is one log line, one count and one entry of the recent decisions."""

from __future__ import annotations

import collections
import dataclasses

from prometheus_client import CollectorRegistry, Counter, Histogram

from choria_broker.access.request import ConnectRequest
from choria_broker.access.verdict import Verdict
from choria_broker.log import component

RECENT = 256
"""How many decisions are kept in memory."""

_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.5)


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one connection; holds no secret.

    Attributes:
        connection_id: the engine's number for the connection.
        address: peer address without port.
        kind: kind of connection.
        common_name: common name of the presented certificate, empty without one.
        allowed, method, rule, reason, account, username: as in the verdict.
        seconds: how long the decision took.
    """

    connection_id: int
    address: str
    kind: str
    common_name: str
    allowed: bool
    method: str
    rule: str
    reason: str
    account: str
    username: str
    seconds: float


class Audit:
    """Keeps the trail.

    Args:
        registry: where the metrics are registered.
        identity: label of every metric.
        recent: how many decisions to keep.
    """

    def __init__(self, registry: CollectorRegistry, identity: str, recent: int = RECENT) -> None:
        """Register the metrics."""
        self._log = component("access")
        self._identity = identity
        self.recent: collections.deque[Decision] = collections.deque(maxlen=recent)
        self._decisions = Counter(
            "choria_broker_decisions",
            "Connections decided, by result and the rule that decided.",
            ("identity", "result", "rule"),
            registry=registry,
        )
        self._engine_refusals = Counter(
            "choria_broker_engine_refusals",
            "Connections the engine refused by itself, by cause.",
            ("identity", "cause"),
            registry=registry,
        )
        self._latency = Histogram(
            "choria_broker_decision_seconds",
            "Time the policy took for one decision.",
            ("identity",),
            buckets=_BUCKETS,
            registry=registry,
        )

    def record(self, request: ConnectRequest, verdict: Verdict, seconds: float) -> None:
        """Record one decision of the policy and the seconds it took."""
        decision = Decision(
            connection_id=request.connection_id,
            address=request.address,
            kind=request.kind.value,
            common_name=request.certificate.common_name if request.certificate else "",
            allowed=verdict.allowed,
            method=verdict.method,
            rule=verdict.rule,
            reason=verdict.reason,
            account=verdict.account,
            username=verdict.username,
            seconds=seconds,
        )
        self.recent.append(decision)
        result = "accepted" if verdict.allowed else "refused"
        self._decisions.labels(self._identity, result, verdict.rule).inc()
        self._latency.labels(self._identity).observe(seconds)
        fields = {
            "cid": request.connection_id,
            "remote": request.address,
            "kind": decision.kind,
            "tls": request.tls.value,
            "method": verdict.method,
            "rule": verdict.rule,
            "duration_us": round(seconds * 1_000_000),
        }
        if decision.common_name:
            fields["cn"] = decision.common_name
        if verdict.allowed:
            self._log.info("Connection accepted", **fields, account=verdict.account, identity=verdict.username)
        else:
            self._log.warning("Connection refused", **fields, reason=verdict.reason, remedy=verdict.remedy)

    def engine_refused(self, cause: str, connection_id: int, address: str) -> None:
        """Record one refusal the engine decided by itself."""
        self._engine_refusals.labels(self._identity, cause).inc()
        self._log.warning("Connection refused by the engine", cause=cause, cid=connection_id, remote=address)
