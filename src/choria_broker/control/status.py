"""The status of a running broker, put together for the control socket."""

from __future__ import annotations

import itertools
import os

import msgspec

from choria_broker import __version__
from choria_broker.audit import Audit, Decision
from choria_broker.config.settings import Settings
from choria_broker.control.protocol import RecentDecision, Status
from choria_broker.engine.frames import Ports

_ADDRESSES = 50
_DECISIONS = 20


def status(settings: Settings, audit: Audit, ports: Ports, *, nats: str, since: float) -> Status:
    """Put the status together.

    Args:
        settings: what the broker was told.
        audit: its trail of decisions.
        ports: ports its engine listens on.
        nats: version of the nats-server library in the engine.
        since: when it started, Unix seconds.
    """
    return Status(
        identity=settings.identity,
        version=__version__,
        nats=nats,
        pid=os.getpid(),
        source=str(settings.source),
        since=since,
        ports={name: port for name, port in msgspec.structs.asdict(ports).items() if port},
        accepted=audit.counts(allowed=True),
        refused=audit.counts(allowed=False),
        refused_addresses=audit.recently_refused(_ADDRESSES),
        recent=tuple(_short(decision) for decision in itertools.islice(reversed(audit.recent), _DECISIONS)),
        unverified_account=settings.network.unverified_account,
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
