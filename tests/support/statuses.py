"""A status to begin with."""

from __future__ import annotations

from choria_broker.status.document import Status

STATUS = Status(
    identity="b1",
    version="1",
    nats="2",
    pid=1,
    source="x",
    since=0.0,
    ports={"client": 4222},
    accepted={},
    refused={},
    refused_addresses=(),
)
"""Of a broker of which there is nothing to say; tests replace what they are about."""
