"""The status of a running broker, put together for the control socket."""

from __future__ import annotations

import os

import msgspec

from choria_broker import __version__
from choria_broker.audit import Audit
from choria_broker.config.settings import Settings
from choria_broker.control.protocol import Status
from choria_broker.engine.frames import Ports

_ADDRESSES = 50


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
    )
