"""The families that all Choria programs have: the build, client connections, the Choria protocol, SRV look-ups."""

from __future__ import annotations

import dataclasses

from choria_broker.stats.families import Family, Kind, Sample, counter

PROTOCOL_VERSIONS = ("1", "2")
"""Versions of the Choria protocol."""


@dataclasses.dataclass(slots=True)
class ConnectorTally:
    """What became of the broker's own client connections to brokers, those for the streams left out.

    Attributes:
        failed_attempts: attempts that failed while a connection was made for the first time.
        reconnections: connections that were lost and came back.
        closed: connections that ended for good.
        errors: errors on connections that stand.
        connected: connections made for the first time.
        seconds: time that took altogether.
    """

    failed_attempts: int = 0
    reconnections: int = 0
    closed: int = 0
    errors: int = 0
    connected: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(slots=True)
class ProtocolTally:
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


@dataclasses.dataclass(frozen=True, slots=True)
class Tallies:
    """Everything the parts of the broker count for the families of this module; what nobody counts stays 0.

    Attributes:
        connector: the broker's own client connections.
        protocol: messages by version of the protocol.
        srv_lookups: SRV records asked for; nothing is cached, so each one is a question to the name servers.
    """

    connector: ConnectorTally = dataclasses.field(default_factory=ConnectorTally)
    protocol: dict[str, ProtocolTally] = dataclasses.field(
        default_factory=lambda: {version: ProtocolTally() for version in PROTOCOL_VERSIONS}
    )
    srv_lookups: int = 0


def common(tallies: Tallies, identity: str, version: str, sha: str) -> tuple[Family, ...]:
    """Make the families of this module.

    Args:
        tallies: what was counted.
        identity: name of this broker.
        version: of this program.
        sha: revision of its source.
    """
    build = {"version": version, "sha": sha, "identity": identity}
    return (
        counter("choria_build_info", "What this program is; always 1.", 1, build),
        *_connector(tallies.connector),
        *_protocol(tallies.protocol),
        *(_lookups(tallies.srv_lookups, identity) if tallies.srv_lookups else ()),
    )


def _connector(tally: ConnectorTally) -> tuple[Family, ...]:
    first = "choria_connector_initial_"
    duration = (Sample(tally.seconds, suffix="_sum"), Sample(tally.connected, suffix="_count"))
    return (
        counter(f"{first}connection_attempts", "Failed attempts to connect for the first time.", tally.failed_attempts),
        counter("choria_connector_reconnections", "Connections that came back.", tally.reconnections),
        counter("choria_connector_connection_closed", "Connections that ended for good.", tally.closed),
        counter("choria_connector_errors", "Errors on connections that stand.", tally.errors),
        Family(f"{first}connect_time", Kind.SUMMARY, "Seconds it took to connect for the first time.", duration),
    )


_PROTOCOL = (
    ("json_parse_failures", "unreadable", "JSON documents that could not be parsed."),
    ("valid", "valid", "Signatures that are right."),
    ("invalid", "invalid", "Signatures that are wrong."),
    ("error", "errors", "Other failures with messages of the Choria protocol."),
)


def _protocol(tallies: dict[str, ProtocolTally]) -> tuple[Family, ...]:
    return tuple(
        Family(
            f"choria_protocol_{name}",
            Kind.COUNTER,
            text,
            tuple(Sample(getattr(tally, field), {"version": version}) for version, tally in tallies.items()),
        )
        for name, field, text in _PROTOCOL
    )


def _lookups(count: int, identity: str) -> tuple[Family, ...]:
    labels = {"identity": identity}
    return (
        counter("choria_dns_srv_lookups", "SRV records asked for.", count, labels),
        counter("choria_dns_srv_cachehits", "SRV records that were known already.", 0, labels),
        counter("choria_dns_srv_cachemiss", "SRV records that the name servers were asked for.", count, labels),
    )
