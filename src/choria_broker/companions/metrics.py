"""The metrics of adapters and federation, with the names and labels of the original."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from choria_broker.companions.spec import ADAPTER, Key
from choria_broker.companions.tally import Labels


class Row(msgspec.Struct, frozen=True):
    """One metric that companion processes count.

    Attributes:
        name: as it is shown.
        kind: ``counter``, ``gauge`` or ``summary``; a summary is counted as ``_sum`` and ``_count``.
        text: one sentence about it.
        labels: names of its labels but ``identity``.
    """

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]


_WORKER = ("name", "role")
_STAGE = ("name", "worker", "connected_to", "cluster")

RECEIVED, PUBLISHED, ERRORS = "choria_adapter_received_msgs", "choria_adapter_published_msgs", "choria_adapter_errors"
BYTES, TIME = "choria_adapter_bytes", "choria_adapter_time"
QUEUE_LENGTH, QUEUE_CAPACITY = "choria_adapter_queue_length", "choria_adapter_queue_capacity"

FEDERATION_RECEIVED, FEDERATION_PUBLISHED = "choria_federation_received_msgs", "choria_federation_published_msgs"
FEDERATION_ERRORS, FEDERATION_TIME = "choria_federation_errors", "choria_federation_time"

ROWS = (
    Row(RECEIVED, "counter", "Messages that the input of an adapter received, or that its output read.", _WORKER),
    Row(PUBLISHED, "counter", "Documents published by an adapter.", _WORKER),
    Row(ERRORS, "counter", "Messages that an adapter had to drop.", _WORKER),
    Row(BYTES, "counter", "Bytes of the messages that came in, or of the documents made of them.", _WORKER),
    Row(TIME, "summary", "Seconds that an adapter needed for messages.", _WORKER),
    Row(QUEUE_LENGTH, "gauge", "Messages that wait between input and output of an adapter.", ("name",)),
    Row(QUEUE_CAPACITY, "gauge", "Most messages that may wait there.", ("name",)),
    Row(FEDERATION_RECEIVED, "counter", "Messages that a worker of the federation broker received.", _STAGE),
    Row(FEDERATION_PUBLISHED, "counter", "Messages published by a worker of the federation broker.", _STAGE),
    Row(FEDERATION_ERRORS, "counter", "Messages that the federation broker had to drop.", _STAGE),
    Row(FEDERATION_TIME, "summary", "Seconds that a worker of the federation broker needed for messages.", _STAGE),
)

GAUGES = (QUEUE_LENGTH, QUEUE_CAPACITY)
"""Families that go up and down."""

_INGEST = "nats_ingest"


def totals(key: Key, counts: Mapping[str, Mapping[Labels, float]]) -> tuple[int, int, int]:
    """Return how many messages a companion has received, published and dropped."""

    def added(family: str, label: str = "") -> int:
        return int(sum(value for labels, value in counts.get(family, {}).items() if not label or label in labels))

    if key.kind == ADAPTER:
        return added(RECEIVED, "input"), added(PUBLISHED), added(ERRORS)
    return added(FEDERATION_RECEIVED, _INGEST), added(FEDERATION_PUBLISHED), added(FEDERATION_ERRORS)
