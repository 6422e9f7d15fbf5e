"""How much of what is limited is used."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from choria_broker.host.facts import HostUse
from choria_broker.settings.network import Network
from choria_broker.stats.readings import Readings

NEARLY = 0.8
"""Part of a limit above which there is little left."""

_REMEDIES = {
    "connections": "raise plugin.choria.network.max_connections and the limit of open files, or add a broker",
    "descriptors": "raise LimitNOFILE of the unit, and restart the broker",
    "memory": "give the broker more memory, or move connections to other brokers",
    "store": "lower the retention of streams, or give the store more room",
}


class Headroom(msgspec.Struct, frozen=True):
    """One thing that is limited.

    Attributes:
        what: ``connections``, ``descriptors``, ``subscriptions``, ``memory`` or ``store``; the last two in bytes.
        used: how much of it is used.
        limit: how much there can be; None when only each connection has a limit.
    """

    what: str
    used: int
    limit: int | None

    @property
    def warning(self) -> str:
        """What health says when most of it is used, else empty; the same as long as that is so."""
        if self.limit is None or self.used <= NEARLY * self.limit:
            return ""
        return f"more than 80 % of {self.what} is used, of {self.limit}: {_REMEDIES[self.what]}"


def most_connections(network: Network, use: HostUse | None) -> int:
    """Tell how many clients can really connect: open files are a limit too.

    Args:
        network: what the broker was told.
        use: of the engine's process, None while it is not known.
    """
    if use is None or use.descriptors_limit is None:
        return network.max_connections
    others = network.needed_files - network.max_connections
    return min(network.max_connections, max(use.descriptors_limit - others, 0))


def headroom(network: Network, readings: Readings | None, use: HostUse | None) -> tuple[Headroom, ...]:
    """Tell how much of everything is used, as far as it is known.

    Args:
        network: what the broker was told.
        readings: what the engine's pages told, None while nobody reads them.
        use: of the processes, None while it is not known.
    """
    return tuple(_headroom(network, readings, use))


def _headroom(network: Network, readings: Readings | None, use: HostUse | None) -> Iterator[Headroom]:
    if readings:
        yield Headroom("connections", readings.server.connections, most_connections(network, use))
    if use and use.descriptors_limit is not None:
        yield Headroom("descriptors", use.descriptors, use.descriptors_limit)
    if readings:
        yield Headroom("subscriptions", readings.server.subscriptions, None)
    if use:
        yield Headroom("memory", use.memory, use.memory_limit)
    if readings and readings.streams and readings.streams.store_max:
        yield Headroom("store", readings.streams.store_used, readings.streams.store_max)
