"""Addresses as operators write them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.text import addresses
from choria_broker.config.text.values import BadValueError
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.secret import Secret

EVERY_IPV4 = "0.0.0.0"  # noqa: S104 - a text to read, nothing is bound


@pytest.mark.parametrize(
    ("text", "scheme", "endpoint"),
    [
        ("a:4222", "nats", Endpoint("nats", "a", 4222)),
        ("nats://a.example.net:5222", "nats", Endpoint("nats", "a.example.net", 5222)),
        ("tls://a:1", "nats", Endpoint("nats", "a", 1)),
        ("nats-route://a:1", "nats", Endpoint("nats", "a", 1)),
        ("192.0.2.1:1", "nats", Endpoint("nats", "192.0.2.1", 1)),
        ("[::1]:4222", "nats", Endpoint("nats", "::1", 4222)),
        ("nats://[2001:DB8::1]:1", "nats", Endpoint("nats", "2001:db8::1", 1)),
        ("nats://u:p@a:1", "nats", Endpoint("nats", "a", 1, "u", Secret("p"))),
        ("u:p@a:1", "nats", Endpoint("nats", "a", 1, "u", Secret("p"))),
        ("nats://u:p%40x@a:1", "nats", Endpoint("nats", "a", 1, "u", Secret("p@x"))),
        ("a:7422", "nats-leaf", Endpoint("nats-leaf", "a", 7422)),
        ("leafnode://a:7422", "nats-leaf", Endpoint("nats-leaf", "a", 7422)),
        ("nats-leaf://a:7422", "nats-leaf", Endpoint("nats-leaf", "a", 7422)),
        ("wss://a:443", "nats-leaf", Endpoint("wss", "a", 443)),
        ("ws://a:80", "nats-leaf", Endpoint("ws", "a", 80)),
    ],
)
def test_endpoint(text: str, scheme: str, endpoint: Endpoint) -> None:
    found = addresses.parse_endpoint(text, scheme)
    assert found.endpoint == endpoint
    assert not found.extra


@pytest.mark.parametrize("text", ["nats://a:1/x", "a:1/x", "nats://a:1?x=y", "nats://a:1#x"])
def test_paths_are_noticed(text: str) -> None:
    assert addresses.parse_endpoint(text).extra


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "nats://a",
        ":1",
        "a:",
        "a:x",
        "a:0",
        "a:65536",
        "a:-1",
        "::1:4222",
        "[::1]",
        "[zz]:1",
        "http://a:1",
        "ws://a:1",
        "a b:1",
        "-a:1",
        "[::1:1",
        "//a:1x",
    ],
)
def test_not_an_endpoint(text: str) -> None:
    with pytest.raises(BadValueError):
        addresses.parse_endpoint(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("::", "::"),
        ("[::]", "::"),
        (EVERY_IPV4, EVERY_IPV4),
        ("localhost", "localhost"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("[FE80::1%eth0]", "fe80::1%eth0"),
        ("Localhost.", "localhost"),
    ],
)
def test_listen_address(text: str, address: str) -> None:
    assert addresses.listen_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a:1",
        "a b",
        "::g",
        "http://a",
        "[::]:4222",
        "*",
        "127.1",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ],
)
def test_not_a_listen_address(text: str) -> None:
    with pytest.raises(BadValueError):
        addresses.listen_address(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("choria.example.net:4222", "choria.example.net:4222"),
        ("nats://h:4222", "h:4222"),
        ("wss://h:443/", "h:443"),
        ("h", "h"),
        ("[::1]:4222", "[::1]:4222"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
    ],
)
def test_advertised(text: str, told: str) -> None:
    assert addresses.advertised(text, port_required=False) == told


@pytest.mark.parametrize("text", ["h", "::1", "wss://h", "h:x", "h:1/x", "u@h:1", ""])
def test_advertised_with_port(text: str) -> None:
    with pytest.raises(BadValueError):
        addresses.advertised(text, port_required=True)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.1/24", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("[2001:db8::1]", "2001:db8::1/128"),
        ("fe80::1%eth0", "fe80::1/128"),
    ],
)
def test_network(text: str, network: str) -> None:
    assert addresses.network(text) == ipaddress.ip_network(network)


@pytest.mark.parametrize(
    "text", ["", "x", "192.0.2.0/33", "192.0.2", "192.0.2.0/", "/24", "192.0.2.0/24/24", "::ffff:1.2.3.4/x"]
)
def test_not_a_network(text: str) -> None:
    with pytest.raises(BadValueError):
        addresses.network(text)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("::", "127.0.0.1", True),
        ("::", "::1", True),
        (EVERY_IPV4, "127.0.0.1", True),
        (EVERY_IPV4, "::1", False),
        ("127.0.0.1", "192.0.2.1", False),
        ("127.0.0.1", "localhost", True),
        ("localhost", "::1", True),
        ("host.example", "host.example", True),
        ("host.example", "192.0.2.1", False),
        ("host.example", "::", True),
    ],
)
def test_overlap(one: str, other: str, clash: bool) -> None:
    assert addresses.overlap(one, other) is clash
    assert addresses.overlap(other, one) is clash


@given(st.text(max_size=40))
def test_nothing_else_is_raised(text: str) -> None:
    for read in (addresses.parse_endpoint, addresses.listen_address, addresses.network):
        try:
            read(text)
        except BadValueError:
            continue
