"""The allow-list of hosts whose connections may make requests of the fleet."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from choria_broker.settings import hostnames
from choria_broker.settings.network import IPNetwork

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def _normalize_network(network: IPNetwork) -> IPNetwork:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        low = int(network.network_address) & 0xFFFF_FFFF
        return ipaddress.IPv4Network((low, network.prefixlen - _MAPPED.prefixlen))
    return network


class ClientHosts(msgspec.Struct, frozen=True):
    """The allow-list, arranged so that looking up an address costs the same for long lists.

    Attributes:
        prefixes: for every IP version and number of host bits in the list, the network parts it has.
    """

    prefixes: Mapping[tuple[int, int], frozenset[int]] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, networks: Iterable[IPNetwork]) -> Self:
        """Arrange networks."""
        prefixes: dict[tuple[int, int], set[int]] = {}
        for network in map(_normalize_network, networks):
            host_bits = network.max_prefixlen - network.prefixlen
            prefixes.setdefault((network.version, host_bits), set()).add(int(network.network_address) >> host_bits)
        return cls({size: frozenset(values) for size, values in prefixes.items()})

    def __bool__(self) -> bool:
        """Tell whether there is a list at all."""
        return bool(self.prefixes)

    def contain(self, address: str) -> bool:
        """Tell whether an address is inside: always without a list, never when it is no address."""
        if not self.prefixes:
            return True
        parsed = hostnames.address(address)
        if parsed is None:
            return False
        number = int(parsed)
        return any(
            version == parsed.version and number >> host_bits in networks
            for (version, host_bits), networks in self.prefixes.items()
        )
