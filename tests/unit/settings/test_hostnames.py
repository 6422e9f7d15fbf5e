"""One spelling for each host."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.settings import hostnames


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("broker1.example.net", "broker1.example.net"),
        ("Broker1.Example.NET.", "broker1.example.net"),
        ("localhost.", "localhost"),
        ("my_broker", "my_broker"),
        ("_mcollective-broker._tcp.example.net", "_mcollective-broker._tcp.example.net"),
        ("b\u00fccher.example.", "xn--bcher-kva.example"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a\u3002b", "a.b"),
        ("node.1", "node.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1.", "192.0.2.1"),
        ("\uff11\uff19\uff12.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("[2001:DB8:0:0::1]", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::FFFF:c000:0201]", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("[FE80::1%25eth0]", "fe80::1%eth0"),
        ("fe80::1%25", "fe80::1%25"),
    ],
)
def test_spellings(text: str, host: str) -> None:
    assert hostnames.canonical(text) == host
    assert hostnames.canonical(host) == host
    assert hostnames.same(text, host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a..",
        "a..b",
        ".a",
        "-a",
        "a-",
        "a-.b",
        "a b",
        " a",
        "a\tb",
        "a\x00",
        "a/b",
        "a:1",
        "a%b",
        "a@b",
        "*",
        "*.example.net",
        "[a]",
        "[]",
        "[::1",
        "[::1]:1",
        "::g",
        "127.1",
        "010.0.0.1",
        "256.0.0.1",
        "0x7f.1",
        "2130706433",
        "fd00::1%eth0",
        "192.0.2.1%eth0",
        "fe80::1%",
        "fe80::1%eth0/1",
        "fe80::1%" + "x" * 16,
        "\u2603.net",
        "x" * 64,
        ".".join(["x" * 60] * 5),
        "x" * 5000,
    ],
)
def test_no_host(text: str) -> None:
    with pytest.raises(hostnames.HostError):
        hostnames.canonical(text)
    assert not hostnames.is_host(text)


@pytest.mark.parametrize(
    ("certified", "host", "covered"),
    [
        ("broker.example.net", "BROKER.example.net.", True),
        ("Broker.Example.NET.", "broker.example.net", True),
        ("*.example.net", "broker.example.net", True),
        ("*.Example.net.", "broker.example.net.", True),
        ("*.example.net", "a.b.example.net", False),
        ("*.example.net", "example.net", False),
        ("*.0.2.1", "192.0.2.1", False),
        ("*", "localhost", False),
        ("::1", "[0:0::1]", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("xn--bcher-kva.example", "b\u00fccher.example", True),
        ("other.example.net", "broker.example.net", False),
        ("not a host", "NOT A HOST", True),
    ],
)
def test_names_of_certificates(certified: str, host: str, covered: bool) -> None:
    assert hostnames.covers(certified, host) is covered


def test_places() -> None:
    assert hostnames.authority("a", 1) == "a:1"
    assert hostnames.authority("::1", 1) == "[::1]:1"
    assert hostnames.url_authority("fe80::1%eth0", 1) == "[fe80::1%25eth0]:1"


@given(st.one_of(st.text(max_size=30), st.text("aA0.-_[]:%fe\u00fc\u3002 ", max_size=12), st.ip_addresses().map(str)))
def test_one_spelling_is_final_and_nothing_else_is_raised(text: str) -> None:
    try:
        host = hostnames.canonical(text)
    except hostnames.HostError:
        return
    assert hostnames.canonical(host) == host
    assert host == host.lower() or "%" in host
    assert host.isascii()
    assert hostnames.is_address(host) == (hostnames.address(host) is not None)


@given(st.ip_addresses())
def test_addresses_keep_their_meaning(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    found = hostnames.address(hostnames.canonical(str(address)))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert found == (mapped or address)
