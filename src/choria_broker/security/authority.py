"""A certificate authority of one's own: what a demonstration or a lab needs, made on the spot."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from choria_broker.values import Discreet

_SKEW = dt.timedelta(minutes=5)
_RSA_BITS = 2048
_EXPONENT = 65537

_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class Pair(Discreet, frozen=True):
    """A certificate and its private key, both PEM; it has no repr that shows them.

    Attributes:
        certificate: what everybody may read.
        key: PKCS #8, not encrypted.
    """

    certificate: bytes
    key: bytes


class Authority:
    """A CA that lives only as long as this object.

    Attributes:
        own: the CA's own certificate and key.
    """

    def __init__(self, name: str, now: dt.datetime, lifetime: dt.timedelta) -> None:
        """Make the CA.

        Args:
            name: its common name.
            now: when everything becomes valid, give or take a few minutes for clocks.
            lifetime: how long the CA is valid.
        """
        self._now, self._lifetime = now, lifetime
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject(name)
        certificate = (
            self._builder(self._name, self._key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.own = Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(self._key))

    def issue(
        self, name: str, hosts: Iterable[str] = (), *, with_rsa: bool = False, lifetime: dt.timedelta | None = None
    ) -> Pair:
        """Issue a certificate, for both ends of a connection.

        Args:
            name: its common name, also its first alternative name.
            hosts: further names and IP addresses.
            with_rsa: give it an RSA key, with which Choria's programs can sign their requests; P-256 otherwise.
            lifetime: how long it is valid; as long as the CA unless given.
        """
        key: _PrivateKey = (
            rsa.generate_private_key(_EXPONENT, _RSA_BITS) if with_rsa else ec.generate_private_key(ec.SECP256R1())
        )
        names = [_alternative(each) for each in dict.fromkeys((name, *hosts))]
        certificate = (
            self._builder(_subject(name), key.public_key(), lifetime or self._lifetime)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    def _builder(self, subject: x509.Name, key: _PublicKey, lifetime: dt.timedelta) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _SKEW)
            .not_valid_after(self._now + lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: _PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What the key is for; strict programs, as Python is from 3.13 on, refuse a CA that does not say it."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
