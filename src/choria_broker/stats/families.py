"""Families of metrics as plain values, and those made of a poll of the engine."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping

from choria_broker.stats.readings import Leafnode, Readings, Server, Streams


class Kind(enum.StrEnum):
    """Types of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One line of a family.

    Attributes:
        value: its value.
        labels: its labels.
        suffix: what is added to the name of the family, such as ``_sum``.
    """

    value: float
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    suffix: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """A metric with all its samples; its name is shown as it is, whatever the type.

    Attributes:
        name, kind: what it is.
        text: one sentence about it.
        samples: none means that the family is not shown.
    """

    name: str
    kind: Kind
    text: str
    samples: tuple[Sample, ...]


_SERVER = (
    ("connections", "connections", "Client connections open now."),
    ("total_connections", "total_connections", "Client connections accepted since the engine started."),
    ("routes", "routes", "Open connections to members of the cluster."),
    ("remotes", "remotes", "Members of the cluster that are reached."),
    ("leafnode_remotes", "leafnodes", "Open leafnode connections, accepted and dialled ones."),
    ("in_msgs", "in_msgs", "Messages received over all kinds of connections."),
    ("out_msgs", "out_msgs", "Messages sent over all kinds of connections."),
    ("in_bytes", "in_bytes", "Bytes of the messages received."),
    ("out_bytes", "out_bytes", "Bytes of the messages sent."),
    ("slow_consumers", "slow_consumers", "Times a receiver did not read fast enough."),
    ("subscriptions", "subscriptions", "Subscriptions of all accounts."),
)
"""End of the metric's name, attribute of the reading, and what it is."""

_LEAFNODE = (
    ("leafnode_rtt_ms", "rtt_ms", "Round trip time of a leafnode connection in milliseconds."),
    ("leafnode_in_msgs", "in_msgs", "Messages received over a leafnode connection."),
    ("leafnode_out_msgs", "out_msgs", "Messages sent over a leafnode connection."),
    ("leafnode_in_bytes", "in_bytes", "Bytes received over a leafnode connection."),
    ("leafnode_out_bytes", "out_bytes", "Bytes sent over a leafnode connection."),
    ("leafnode_subscriptions", "subscriptions", "Subscriptions held for the other side of a leafnode connection."),
)
_STREAMS = (
    ("stream_memorystore_max", "memory_max", "Most bytes that streams may hold in memory."),
    ("stream_filestore_max", "store_max", "Most bytes that streams may hold on disk."),
    ("stream_memorystore_used", "memory_used", "Bytes that streams hold in memory."),
    ("stream_filestore_used", "store_used", "Bytes that streams hold on disk."),
    ("stream_streams", "streams", "Streams on this broker."),
    ("stream_consumers", "consumers", "Consumers of streams on this broker."),
    ("stream_messages", "messages", "Messages in the streams on this broker."),
    ("stream_message_bytes", "message_bytes", "Bytes of the messages in the streams on this broker."),
)


def network(readings: Readings, identity: str) -> tuple[Family, ...]:
    """Make the families of one poll.

    Args:
        readings: what was read.
        identity: label of every sample.
    """
    own = {"identity": identity}
    families = _one_each(_SERVER, readings.server, own)
    if readings.leafnodes is not None:
        families += [_of_leafnodes(name, field, text, readings.leafnodes, own) for name, field, text in _LEAFNODE]
    if readings.streams is not None:
        families += _one_each(_STREAMS, readings.streams, own)
    return tuple(families)


def _one_each(
    table: Iterable[tuple[str, str, str]], reading: Server | Streams, labels: Mapping[str, str]
) -> list[Family]:
    return [gauge(f"choria_network_{name}", text, getattr(reading, field), labels) for name, field, text in table]


def _of_leafnodes(name: str, field: str, text: str, leafnodes: Iterable[Leafnode], own: Mapping[str, str]) -> Family:
    # By place, so that no two samples of a page have the same labels, which would make all of it unreadable.
    values: dict[tuple[str, str, str], float] = {}
    for leafnode in leafnodes:
        value = getattr(leafnode, field)
        if value is not None:
            values[leafnode.account, leafnode.host, str(leafnode.port)] = value
    samples = tuple(
        Sample(value, {"account": account, "host": host, **own, "port": port})
        for (account, host, port), value in values.items()
    )
    return Family(f"choria_network_{name}", Kind.GAUGE, text, samples)


def gauge(name: str, text: str, value: float, labels: Mapping[str, str]) -> Family:
    """Make a gauge of one sample."""
    return Family(name, Kind.GAUGE, text, (Sample(value, labels),))


def counter(name: str, text: str, value: float, labels: Mapping[str, str] | None = None) -> Family:
    """Make a counter of one sample."""
    return Family(name, Kind.COUNTER, text, (Sample(value, labels or {}),))
