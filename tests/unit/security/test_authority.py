"""Certificates of a CA of one's own."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from choria_broker.security.authority import Authority

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
YEAR = dt.timedelta(days=365)


@pytest.mark.parametrize(("with_rsa", "kind"), [(False, ec.EllipticCurvePrivateKey), (True, rsa.RSAPrivateKey)])
def test_it_issues_certificates_with_their_keys(*, with_rsa: bool, kind: type) -> None:
    authority = Authority("lab", NOW, YEAR)
    made = authority.issue("mq.example.net", ("192.0.2.7", "mq.example.net"), with_rsa=with_rsa)
    certificate = x509.load_pem_x509_certificate(made.certificate)
    key = load_pem_private_key(made.key, None)
    assert isinstance(key, kind)
    assert key.public_key() == certificate.public_key()
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.own.certificate))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == ["mq.example.net", "192.0.2.7"]
    assert certificate.not_valid_before_utc < NOW
    assert certificate.not_valid_after_utc == NOW + YEAR


def test_what_it_issues_may_last_shorter() -> None:
    made = Authority("lab", NOW, YEAR).issue("a.example.net", lifetime=dt.timedelta(days=1))
    assert x509.load_pem_x509_certificate(made.certificate).not_valid_after_utc == NOW + dt.timedelta(days=1)


def test_only_the_ca_signs_certificates() -> None:
    authority = Authority("lab", NOW, YEAR)
    for pem, is_ca in ((authority.own.certificate, True), (authority.issue("a.example.net").certificate, False)):
        extensions = x509.load_pem_x509_certificate(pem).extensions
        assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is is_ca
        assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is is_ca


def test_no_key_is_shown_by_chance() -> None:
    assert "PRIVATE" not in repr(Authority("lab", NOW, YEAR).own)
