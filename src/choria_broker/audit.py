"""The audit trail: each decision is counted and kept for a while; log lines about refusals are bounded."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from choria_broker.access.request import ConnectRequest
from choria_broker.access.rules import INTERNAL_ERROR
from choria_broker.access.verdict import Permissions, Step, Verdict
from choria_broker.log import ENGINE, component
from choria_broker.refusals import Bounds, Refusals, Refused

RECENT = 1024
"""How many decisions are kept in memory."""

_CONNECTION = re.compile(
    r"(?:websocket: (?:http: )?(?P<early>TLS handshake error) from )?"
    r"(?:pipe|(?:[^ ]*/)?\[?(?P<address>[^\s\[\]/]+?)\]?:\d+)"
    r"(?(early): | - (?:(?P<kind>[cwmlrg])id\w*:\d+ - |(?=websocket )))(?P<told>.*)",
    re.DOTALL,
)
"""How the engine's lines about one connection begin; before the slash is what a proxy claims the address to be."""

_LINKS = frozenset("rg")
"""Routes and gateways, whose logins the engine decides by itself."""

_USER = re.compile(r' - (?:JWT )?(?:User|Nkey|Token) "(?:[^"\\]|\\.)*"')
_NUMBER = re.compile(r"\d+")
_WORDING = 100
_LINK_LINES = 4
"""How many times more lines than about refusals one address gets at INFO: one route alone is several connections."""

_TOO_SLOW = ("timeout", "overflow")
"""Causes of the engine for which a broker that does not keep up is to blame."""

_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.5)


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one connection; holds no secret.

    Attributes:
        time: when, Unix seconds.
        connection_id: the engine's number for the connection.
        address: peer address without port.
        kind: kind of connection.
        tls: state of TLS.
        common_name: common name of the presented certificate, empty without one.
        allowed, method, rule, reason, remedy, account, username, permissions, trail: as in the verdict.
        seconds: how long the decision took.
    """

    time: float
    connection_id: int
    address: str
    kind: str
    tls: str
    common_name: str
    allowed: bool
    method: str
    rule: str
    reason: str
    remedy: str
    account: str
    username: str
    permissions: Permissions | None
    trail: tuple[Step, ...]
    seconds: float


class Audit:
    """Keeps the trail.

    Attributes:
        recent: the latest decisions, oldest first.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        identity: str,
        *,
        asked: bool = True,
        recent: int = RECENT,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Register the metrics.

        Args:
            registry: where the metrics are registered.
            identity: label of every metric.
            asked: the broker is asked about connections; otherwise the engine decides, and its lines tell of refusals.
            recent: how many decisions to keep.
            bounds: of what is kept and logged about refusals.
            clock: Unix time in seconds.
        """
        self._log = component("access")
        self._engine_log = logging.getLogger(ENGINE)
        self._identity = identity
        self._asked = asked
        self._clock = clock
        self._refusals = Refusals(bounds)
        self._complaints = Refusals(bounds)
        self._unassigned = Refusals(bounds, place=_wording)
        usual = self._refusals.bounds
        self._events = Refusals(dataclasses.replace(usual, in_full=usual.in_full * _LINK_LINES))
        self._counts: collections.Counter[tuple[bool, str]] = collections.Counter()
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
        # Of a counter that begins with its first count there is no increase by that count, which alerts would miss.
        self._decisions.labels(identity, "refused", INTERNAL_ERROR.name)
        for cause in _TOO_SLOW:
            self._engine_refusals.labels(identity, cause)
        self._unlogged = Counter(
            "choria_broker_refusals_unlogged",
            "Refusals that are in the log only as part of a summary.",
            ("identity",),
            registry=registry,
        ).labels(identity)
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
            time=self._clock(),
            connection_id=request.connection_id,
            address=request.address,
            kind=request.kind.value,
            tls=request.tls.value,
            common_name=request.certificate.common_name if request.certificate else "",
            allowed=verdict.allowed,
            method=verdict.method,
            rule=verdict.rule,
            reason=verdict.reason,
            remedy=verdict.remedy,
            account=verdict.account,
            username=verdict.username,
            permissions=verdict.permissions,
            trail=verdict.trail,
            seconds=seconds,
        )
        self.recent.append(decision)
        self._counts[verdict.allowed, verdict.rule] += 1
        result = "accepted" if verdict.allowed else "refused"
        self._decisions.labels(self._identity, result, verdict.rule).inc()
        self._latency.labels(self._identity).observe(seconds)
        if verdict.allowed:
            fields = _fields(decision)
            self._log.info("Connection accepted", **fields, account=verdict.account, identity=verdict.username)
        elif self._worth_a_line(request.address, verdict.rule):
            fields = _fields(decision)
            self._log.warning("Connection refused", **fields, reason=verdict.reason, remedy=verdict.remedy)

    def engine_refused(self, cause: str, connection_id: int, address: str) -> None:
        """Record one refusal the engine decided by itself."""
        self._engine_refusals.labels(self._identity, cause).inc()
        if self._worth_a_line(address, f"engine-{cause}"):
            self._log.warning("Connection refused by the engine", cause=cause, cid=connection_id, remote=address)

    def engine_line(self, level: int, text: str) -> bool:
        """Tell whether a line of the engine is to be logged, so that no peer can fill the log through the engine.

        A line with what a peer sent as its user is logged here instead, without that part.

        Args:
            level: of the standard ``logging`` module.
            text: the line without its prefix.
        """
        if level < logging.INFO:
            return True
        worth = self._line_is_worth(level, text)
        self._sum_up()
        shown = _USER.sub("", text)
        if worth and shown != text:
            self._engine_log.log(level, "%s", shown)
            return False
        return worth

    def _line_is_worth(self, level: int, text: str) -> bool:
        match = _CONNECTION.match(text)
        if level < logging.WARNING:
            return match is None or self._events.note(match["address"] or "", "line", self._clock())
        if match is None:
            return self._unassigned.note(text, "line", self._clock())
        address, told = match["address"] or "", match["early"] or match["told"]
        if match["kind"] not in _LINKS:
            if not self._asked and "authentication error" in told:
                self._engine_refusals.labels(self._identity, "authentication").inc()
                return self._worth_a_line(address, "authentication")
            if told.removeprefix("read error: ").startswith("authentication error"):
                return False  # Told here already, with its reason.
            if "handshake error" in told:
                cause = f"{'tls' if 'TLS' in told else 'websocket'}-handshake"
                self._engine_refusals.labels(self._identity, cause).inc()
                return self._worth_a_line(address, cause)
        return self._complaints.note(address, "violation" if "Violation" in text else "other", self._clock())

    def find(self, connection_id: int) -> Decision | None:
        """Return the latest decision about a connection, None when it is not among the recent ones."""
        return next((each for each in reversed(self.recent) if each.connection_id == connection_id), None)

    def counts(self, *, allowed: bool) -> Mapping[str, int]:
        """Return how many decisions each rule made, those that accepted or those that refused."""
        return {rule: count for (result, rule), count in self._counts.items() if result is allowed}

    def recently_refused(self, count: int) -> tuple[Refused, ...]:
        """Return the addresses refused most recently, the latest first; for IPv6 their /64 networks."""
        return self._refusals.most_refused(count)

    @contextlib.asynccontextmanager
    async def summing_up(self) -> AsyncIterator[None]:
        """Log, as long as the context lasts, a summary of the refusals that got no line of their own."""
        async with asyncio.TaskGroup() as tasks:
            regularly = tasks.create_task(self._sum_up_regularly(), name="audit summaries")
            try:
                yield
            finally:
                regularly.cancel()
                self._sum_up(final=True)

    async def _sum_up_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._refusals.bounds.window)
            self._sum_up()

    def _worth_a_line(self, address: str, rule: str) -> bool:
        worth = self._refusals.note(address, rule, self._clock())
        self._sum_up()
        if not worth:
            self._unlogged.inc()
        return worth

    def _sum_up(self, *, final: bool = False) -> None:
        for level, message, about, refusals in (
            (logging.WARNING, "Further connections refused", "remote", self._refusals),
            (logging.WARNING, "Further complaints of the engine", "remote", self._complaints),
            (logging.WARNING, "Further complaints of the engine", "wording", self._unassigned),
            (logging.INFO, "Further lines of the engine", "remote", self._events),
        ):
            for summary in refusals.summaries(self._clock(), final=final):
                self._log.log(
                    level,
                    message,
                    **{about: summary.address},
                    addresses=summary.addresses,
                    left_out=summary.refusals,
                    within=f"{refusals.bounds.window:.0f}s",
                    rules=", ".join(f"{rule}={count}" for rule, count in sorted(summary.rules.items())),
                )


def _wording(text: str) -> str:
    """Name what lines about no single connection have in common: how they begin, numbers aside."""
    # The lines of a Go stack trace tell places in files, which are different things.
    return text[:_WORDING] if text.startswith("\t") else _NUMBER.sub("N", text[:_WORDING])


def _fields(decision: Decision) -> dict[str, object]:
    fields: dict[str, object] = {
        "cid": decision.connection_id,
        "remote": decision.address,
        "kind": decision.kind,
        "tls": decision.tls,
        "method": decision.method,
        "rule": decision.rule,
        "duration_us": round(decision.seconds * 1_000_000),
    }
    if decision.common_name:
        fields["cn"] = decision.common_name
    return fields
