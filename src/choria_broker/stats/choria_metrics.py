"""The metrics that all Choria programs have, with their names, types and labels."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from choria_broker.stats.families import Values
from choria_broker.stats.measured import Measured, Take, counter, gauge, summary
from choria_broker.stats.readings import Leafnode
from choria_broker.stats.tallies import ProtocolTally


def _looked_up(times: int) -> Take:
    """SRV records appear with the first that was asked for."""
    return lambda at: at.tallies.srv_lookups * times if at.tallies.srv_lookups else None


SRV = (
    counter("choria_dns_srv_lookups", "SRV lookups.", _looked_up(1)),
    counter("choria_dns_srv_cachehits", "SRV lookups answered from a cache.", _looked_up(0)),
    counter("choria_dns_srv_cachemiss", "SRV lookups sent to the name servers.", _looked_up(1)),
)
"""About DNS."""


def _read(page: str, field: str) -> Take:
    """Take one number of a page of the engine; nothing while it was not read."""
    reading, number = operator.attrgetter(page), operator.attrgetter(field)

    def take(at: Measured) -> Values:
        found = reading(at.readings) if at.readings else None
        return None if found is None else float(number(found))

    return take


def _of_leafnodes(field: str) -> Take:
    number = operator.attrgetter(field)

    def take(at: Measured) -> Values:
        leafnodes: Sequence[Leafnode] = (at.readings and at.readings.leafnodes) or ()
        # By place, so that no two samples of a page have the same labels, which would make all of it unreadable.
        return {
            (each.account, each.host, str(each.port)): number(each) for each in leafnodes if number(each) is not None
        }

    return take


_SERVER = (
    ("choria_network_connections", "connections", "Client connections open now."),
    ("choria_network_total_connections", "total_connections", "Client connections accepted since the engine started."),
    ("choria_network_routes", "routes", "Open connections to members of the cluster."),
    ("choria_network_remotes", "remotes", "Members of the cluster that are connected."),
    ("choria_network_leafnode_remotes", "leafnodes", "Open leafnode connections, in both directions."),
    ("choria_network_in_msgs", "in_msgs", "Messages received over all kinds of connections."),
    ("choria_network_out_msgs", "out_msgs", "Messages sent over all kinds of connections."),
    ("choria_network_in_bytes", "in_bytes", "Bytes of the messages received."),
    ("choria_network_out_bytes", "out_bytes", "Bytes of the messages sent."),
    ("choria_network_slow_consumers", "slow_consumers", "Times that a receiver did not read fast enough."),
    ("choria_network_subscriptions", "subscriptions", "Subscriptions of all accounts."),
)
"""Name, attribute of the reading, and what it is; the same below."""

_STREAMS = (
    ("choria_network_stream_memorystore_max", "memory_max", "Most bytes that streams may use in memory."),
    ("choria_network_stream_filestore_max", "store_max", "Most bytes that streams may use on disk."),
    ("choria_network_stream_memorystore_used", "memory_used", "Bytes that streams use in memory."),
    ("choria_network_stream_filestore_used", "store_used", "Bytes that streams use on disk."),
    ("choria_network_stream_streams", "streams", "Streams on this broker."),
    ("choria_network_stream_consumers", "consumers", "Consumers of streams on this broker."),
    ("choria_network_stream_messages", "messages", "Messages in the streams on this broker."),
    ("choria_network_stream_message_bytes", "message_bytes", "Bytes of the messages in the streams on this broker."),
)
_LEAFNODE = (
    ("choria_network_leafnode_rtt_ms", "rtt_ms", "Round trip time of a leafnode connection in milliseconds."),
    ("choria_network_leafnode_in_msgs", "in_msgs", "Messages received over a leafnode connection."),
    ("choria_network_leafnode_out_msgs", "out_msgs", "Messages sent over a leafnode connection."),
    ("choria_network_leafnode_in_bytes", "in_bytes", "Bytes received over a leafnode connection."),
    ("choria_network_leafnode_out_bytes", "out_bytes", "Bytes sent over a leafnode connection."),
    (
        "choria_network_leafnode_subscriptions",
        "subscriptions",
        "Subscriptions held for the other side of a leafnode connection.",
    ),
)

NETWORK = (
    *(gauge(name, text, _read("server", field)) for name, field, text in _SERVER),
    *(gauge(name, text, _read("streams", field)) for name, field, text in _STREAMS),
    *(gauge(name, text, _of_leafnodes(field), "account host port") for name, field, text in _LEAFNODE),
)
"""About the engine, as its pages tell."""

CONNECTOR = (
    counter(
        "choria_connector_initial_connection_attempts",
        "Failed attempts to connect for the first time.",
        lambda at: at.tallies.connector.failed_attempts,
    ),
    counter(
        "choria_connector_reconnections",
        "Connections that were restored.",
        lambda at: at.tallies.connector.reconnections,
    ),
    counter(
        "choria_connector_connection_closed",
        "Connections that ended permanently.",
        lambda at: at.tallies.connector.closed,
    ),
    counter("choria_connector_errors", "Errors on open connections.", lambda at: at.tallies.connector.errors),
    summary(
        "choria_connector_initial_connect_time",
        "Seconds until the first connection was made.",
        lambda at: at.tallies.connector.latency,
    ),
)
"""About connections to brokers."""


def _by_version(count: Callable[[ProtocolTally], int]) -> Take:
    return lambda at: {version: count(tally) for version, tally in at.tallies.protocol.items()}


PROTOCOL = (
    counter(
        "choria_protocol_json_parse_failures",
        "JSON documents that could not be parsed.",
        _by_version(lambda tally: tally.unreadable),
        "version",
    ),
    counter("choria_protocol_valid", "Valid signatures.", _by_version(lambda tally: tally.valid), "version"),
    counter("choria_protocol_invalid", "Invalid signatures.", _by_version(lambda tally: tally.invalid), "version"),
    counter(
        "choria_protocol_error",
        "Other failures with messages of the Choria protocol.",
        _by_version(lambda tally: tally.errors),
        "version",
    ),
)
"""About messages of the Choria protocol."""
