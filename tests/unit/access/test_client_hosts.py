"""The allow-list of hosts."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.client_hosts import ClientHosts
from choria_broker.settings.network import IPNetwork


def hosts(*texts: str) -> ClientHosts:
    return ClientHosts.of(ipaddress.ip_network(text, strict=False) for text in texts)


LIST = hosts("192.0.2.1/24", "10.0.0.1", "2001:db8::/32", "::1", "::ffff:198.51.100.0/120")


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.0",
        "192.0.2.255",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "[::ffff:10.0.0.1]",
        "2001:db8:1::2",
        "[2001:db8::1]",
        "2001:db8::1%eth0",
        "::1",
        "0:0:0:0:0:0:0:1",
        "198.51.100.7",
        " 10.0.0.1 ",
    ],
)
def test_inside(address: str) -> None:
    assert LIST.contain(address)


@pytest.mark.parametrize(
    "address",
    ["192.0.3.0", "10.0.0.2", "2001:db9::1", "::2", "", "localhost", "10.0.0.1:4222", "10.0.0", "\ud800", "[]", "::1]"],
)
def test_outside(address: str) -> None:
    assert not LIST.contain(address)


@pytest.mark.parametrize("address", ["", "nonsense", "203.0.113.9", "::1"])
def test_without_a_list_everything_is_inside(address: str) -> None:
    assert ClientHosts().contain(address)
    assert not ClientHosts()


def test_all_of_one_version() -> None:
    assert hosts("0.0.0.0/0").contain("::ffff:203.0.113.1")
    assert not hosts("0.0.0.0/0").contain("2001:db8::1")
    assert hosts("::/0").contain("2001:db8::1")
    assert not hosts("::/0").contain("203.0.113.1")


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6, network="2000::/3"))
NETWORKS = st.builds(
    lambda address, bits: ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False),
    ADDRESSES,
    st.integers(3, 128),
)


@given(st.lists(NETWORKS, min_size=1, max_size=4), ADDRESSES)
def test_agrees_with_the_standard_library(
    networks: list[IPNetwork], address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    arranged = ClientHosts.of(networks)

    assert arranged.contain(str(address)) is any(address in network for network in networks)
    assert all(arranged.contain(str(network.network_address)) for network in networks)


def test_ipv4_in_ipv6_is_ipv4() -> None:
    mapped, plain = hosts("::ffff:198.51.100.0/120"), hosts("198.51.100.0/24")
    assert mapped == plain
    assert mapped.contain("198.51.100.7")
    assert not mapped.contain("198.51.101.7")
