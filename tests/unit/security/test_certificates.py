from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from choria_broker.security.certificates import UnreadableCertificateError, common_names, hosts, read, title
from support.certificates import issue, key


def test_a_curve_that_the_engine_does_not_know() -> None:
    odd = issue("odd", private=ec.generate_private_key(ec.SECP256K1()))
    with pytest.raises(UnreadableCertificateError, match="has a key on the curve secp256k1"):
        read(odd.der)


def test_damaged() -> None:
    with pytest.raises(UnreadableCertificateError, match="is damaged"):
        read(issue("x").der[:-1])


def test_a_key_of_an_unknown_kind() -> None:
    good = issue("x", private=key())
    # The object identifier of keys on elliptic curves, 1.2.840.10045.2.1, with another last number.
    known = bytes.fromhex("06072a8648ce3d0201")
    with pytest.raises(UnreadableCertificateError, match="has a key of an unknown kind"):
        read(good.der.replace(known, known[:-1] + b"\x7f"))


def test_what_must_not_be_critical() -> None:
    odd = issue("x", None, x509.SubjectKeyIdentifier(b"x"), critical=True)
    with pytest.raises(UnreadableCertificateError, match="as critical, which is not allowed"):
        read(odd.der)


def test_names() -> None:
    names = (x509.DNSName("b1.example.net"), x509.IPAddress(ipaddress.ip_address("192.0.2.7")), x509.RFC822Name("a@b"))
    made = issue("b1", names=names).certificate

    assert hosts(made) == ("b1.example.net", "192.0.2.7")
    assert common_names(made) == ("b1",)
    assert title(made) == "CN=b1"
    assert hosts(issue("b1").certificate) == ()
