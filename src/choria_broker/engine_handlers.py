"""What the broker does when its engine asks or tells something."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterable

from choria_broker.access import ways
from choria_broker.access.decision import decide, decide_for_engine
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.access.session import Again
from choria_broker.access.verdict import Verdict
from choria_broker.announcements import greeting
from choria_broker.audit.trail import Audit
from choria_broker.enforcement.keeper import Enforcement
from choria_broker.engine.events import Refusal, Versions
from choria_broker.engine.running import EngineHandlers
from choria_broker.engine.tls_causes import refuses_ours
from choria_broker.host.thread_dump import dump_threads
from choria_broker.log.structured import component
from choria_broker.reload.in_force import InForce
from choria_broker.stats.certificates import Certificate, expired_own
from choria_broker.stats.service import BrokerStatistics
from choria_broker.streams.service import ChoriaStreams

_log = component("network")


_SAID_AGAIN = 60.0
"""Seconds until the same is said again."""


def handlers(
    in_force: InForce, audit: Audit, streams: ChoriaStreams, enforcement: Enforcement, statistics: BrokerStatistics
) -> EngineHandlers:
    """Make the handlers.

    Args:
        in_force: has the policy by which connections are decided.
        audit: records decisions, and refusals of the engine.
        streams: hears what the engine's log says about them.
        enforcement: hears who is let in.
        statistics: know the certificates that the broker works with.
    """
    ours = _OwnCertificates(lambda: statistics.certificates)

    def decided(request: ConnectRequest) -> Verdict:
        begun = time.perf_counter()
        verdict = _verdict(request, in_force.state.policy)
        decision = audit.record(request, verdict, time.perf_counter() - begun)
        if verdict.is_final:
            enforcement.admitted(request.connection_id, decision.expires)
        return verdict

    def admitted(connections: Iterable[int], again: Iterable[Again]) -> None:
        for decision in audit.admitted(connections, again):
            enforcement.admitted(decision.connection_id, decision.expires)

    def greeted(versions: Versions) -> None:
        _log.info(greeting(in_force.state.settings, versions.nats))

    def refused(refusal: Refusal) -> None:
        audit.engine_refused(refusal.cause, refusal.connection_id, refusal.address)

    def said(level: int, text: str) -> str | None:
        streams.hear(text)
        statistics.hear(text)
        if refuses_ours(text):
            ours.refused()
        return audit.engine_line(level, text)

    def ending() -> None:
        _log.warning("Choria Network Broker shutting down")
        if in_force.state.settings.network.streams.store:
            _log.warning("Disabling Choria Streams")

    def killing() -> None:
        dump_threads(_log, asyncio.get_running_loop())

    return EngineHandlers(decided, greeted, refused, admitted, said, ending, killing)


def _verdict(request: ConnectRequest, policy: Policy) -> Verdict:
    """Decide, and leave to the engine what it can check; what did not hold there once is looked at here to the end."""
    now = time.time()
    return decide(request, policy, now) if request.unmet else decide_for_engine(request, policy, now, ways.STANDARD)


class _OwnCertificates:
    """Says in our own words that others refuse this broker for a certificate that has expired meanwhile."""

    def __init__(self, certificates: Callable[[], Iterable[Certificate]]) -> None:
        self._certificates = certificates
        self._said: dict[Certificate, float] = {}

    def refused(self) -> None:
        """Somebody refused a certificate of this broker."""
        now = time.time()
        for each in expired_own(self._certificates(), now):
            if now < self._said.get(each, 0.0) + _SAID_AGAIN:
                continue
            self._said[each] = now
            _log.error(
                "Others refuse this broker because its certificate has expired",
                file=str(each.source.file),
                expired=dt.datetime.fromtimestamp(each.expires, dt.UTC).isoformat(timespec="seconds"),
                remedy="replace the file with a new certificate; the broker reads it by itself, or with choria-broker "
                "reload",
            )
