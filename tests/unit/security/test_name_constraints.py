"""Names held against what CAs allow; tests/integration/test_certificate_judgement.py asks Go the same."""

from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509

from choria_broker.security.name_constraints import forbidden, unhandled
from support.certificate_cases import excluded, permitted
from support.certificates import authority, issue

DNS, IP, URI, MAIL = x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name
V4 = IP(ipaddress.ip_network("192.0.2.0/24"))
V6 = IP(ipaddress.ip_network("2001:db8::/32"))


def address(text: str) -> x509.IPAddress:
    return IP(ipaddress.ip_address(text))


def verdict(constraints: x509.NameConstraints, name: x509.GeneralName) -> str:
    """Judge one name of a certificate: the verb of the refusal, empty when it is allowed."""
    ca = authority("ca", None, constraints, critical=True)
    said = forbidden([issue("leaf", ca, names=(name,)).certificate, ca.certificate])
    return next(verb for verb in ("do not permit", "exclude", "cannot be checked", "") if verb in (said or ""))


NO, OUT, ODD = "do not permit", "exclude", "cannot be checked"


@pytest.mark.parametrize(
    ("constraints", "name", "expected"),
    [
        (permitted(V4), address("192.0.2.7"), ""),
        (permitted(V4), address("198.51.100.7"), NO),
        (permitted(V6), address("2001:db8::1"), ""),
        (permitted(V6), address("2001:db9::1"), NO),
        (permitted(V4), address("2001:db8::1"), NO),
        (excluded(V6), address("192.0.2.7"), ""),
        (excluded(V6), address("2001:db8::1"), OUT),
        (permitted(DNS("example.net")), DNS("b.EXAMPLE.net"), ""),
        (permitted(DNS("example.net")), DNS("badexample.net"), NO),
        (permitted(DNS("example.net")), address("192.0.2.7"), ""),
        (excluded(DNS("a.example.net")), DNS("*.example.net"), OUT),
        (permitted(DNS("a.example.net")), DNS("*.example.net"), NO),
        (permitted(URI("example.net")), URI("spiffe://example.net/node"), ""),
        (permitted(URI(".example.net")), URI("spiffe://a.example.net/node"), ""),
        (permitted(URI("example.net")), URI("spiffe://example.org/node"), NO),
        (excluded(URI("example.net")), URI("spiffe://example.net/node"), OUT),
        (excluded(URI("example.net")), URI("urn:uuid:1"), ODD),
        (excluded(URI("example.net")), URI("https://192.0.2.7/"), ODD),
        (excluded(URI("example.net")), URI("https://[::1/"), ODD),
        (permitted(MAIL("example.net")), MAIL("ops@example.net"), ""),
        (permitted(MAIL("ops@example.net")), MAIL("ops@EXAMPLE.net"), ""),
        (permitted(MAIL("ops@example.net")), MAIL("dev@example.net"), NO),
        (excluded(MAIL("example.net")), MAIL("ops@example.net"), OUT),
    ],
)
def test_names(constraints: x509.NameConstraints, name: x509.GeneralName, expected: str) -> None:
    assert verdict(constraints, name) == expected


def test_a_ca_without_constraints_allows_every_name() -> None:
    ca = authority("ca")
    assert forbidden([issue("leaf", ca, names=(DNS("a"),)).certificate, ca.certificate]) is None


def test_a_ca_holds_the_names_of_every_certificate_below_it() -> None:
    root = authority("root", None, excluded(DNS("example.org")), critical=True)
    middle = authority("middle", root, names=(DNS("ca.example.org"),))
    leaf = issue("leaf", middle, names=(DNS("example.net"),))

    said = forbidden([leaf.certificate, middle.certificate, root.certificate])

    assert said == "the name constraints of CA certificate CN=root exclude the name ca.example.org of the certificate"


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        (permitted(DNS("example.net"), V4), False),
        (permitted(DNS("example.net"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))), True),
        (excluded(x509.DirectoryName(x509.Name([]))), True),
    ],
)
def test_kinds_of_names_that_are_not_compared(constraints: x509.NameConstraints, *, expected: bool) -> None:
    assert unhandled(authority("ca", None, constraints).certificate) is expected
    assert not unhandled(authority("ca").certificate)
