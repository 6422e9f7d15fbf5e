"""What the parts of the broker count for the metrics that all Choria programs have; what nobody counts stays 0."""

from __future__ import annotations

import msgspec

from choria_broker.histogram import Histogram

PROTOCOL_VERSIONS = ("1", "2")
"""Versions of the Choria protocol."""


class ConnectorTally(msgspec.Struct):
    """What became of the broker's own client connections to brokers, those for the streams left out.

    Attributes:
        failed_attempts: attempts that failed while a connection was made for the first time.
        reconnections: connections that were lost and came back.
        closed: connections that ended for good.
        errors: errors on connections that stand.
        latency: time it took to make connections for the first time.
    """

    failed_attempts: int = 0
    reconnections: int = 0
    closed: int = 0
    errors: int = 0
    latency: Histogram = msgspec.field(default_factory=lambda: Histogram(()))


class ProtocolTally(msgspec.Struct):
    """What became of messages of one version of the Choria protocol.

    Attributes:
        unreadable: JSON documents that could not be parsed.
        valid, invalid: outcomes of signature checks.
        errors: other failures.
    """

    unreadable: int = 0
    valid: int = 0
    invalid: int = 0
    errors: int = 0


class Tallies(msgspec.Struct, frozen=True):
    """Everything that is counted.

    Attributes:
        connector: the broker's own client connections.
        protocol: messages by version of the protocol.
        srv_lookups: SRV records asked for; nothing is cached, so each one is a question to the name servers.
    """

    connector: ConnectorTally = msgspec.field(default_factory=ConnectorTally)
    protocol: dict[str, ProtocolTally] = msgspec.field(
        default_factory=lambda: {version: ProtocolTally() for version in PROTOCOL_VERSIONS}
    )
    srv_lookups: int = 0
