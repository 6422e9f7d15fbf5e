"""Certificates of every kind for tests, good ones and bad ones."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOST = "broker.example.net"
VECTORS = Path(__file__).parents[1] / "vectors" / "certificates"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
MAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x")


@functools.cache
def key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """Return one of several keys, which are made once."""
    del number
    return ec.generate_private_key(ec.SECP256R1())


@dataclasses.dataclass(frozen=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        """The key as PEM."""
        return private_pem(self.key)


def private_pem(private: Key, password: bytes = b"") -> bytes:
    """Write a private key as PEM."""
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def key_usage(*, signs: bool) -> x509.KeyUsage:
    """Make the extension that says whether a key signs certificates."""
    others = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs, **others)


def _usual(
    usages: tuple[x509.ObjectIdentifier, ...], names: tuple[x509.GeneralName, ...]
) -> Iterator[x509.ExtensionType]:
    if usages:
        yield x509.ExtendedKeyUsage(usages)
    if names:
        yield x509.SubjectAlternativeName(names)


def issue(  # noqa: PLR0913 - what a certificate can say
    name: str,
    issuer: Made | None = None,
    *extensions: x509.ExtensionType,
    private: Key | None = None,
    ca: bool | None = None,
    length: int | None = None,
    usages: tuple[x509.ObjectIdentifier, ...] = (),
    names: tuple[x509.GeneralName, ...] = (),
    critical: bool = False,
    begin: dt.datetime = NOW - 30 * DAY,
    end: dt.datetime = NOW + 300 * DAY,
    serial: int = 0,
) -> Made:
    """Issue a certificate, signed by itself unless an issuer is given.

    Args:
        name: its common name.
        issuer: who signs it.
        extensions: further extensions.
        private: its key; a new one when left out.
        ca: what its basic constraints say; none when left out.
        length: path length of those.
        usages: its extended key usage; no such extension when empty.
        names: alternative names; no such extension when empty.
        critical: whether the further extensions are critical.
        begin: start of its validity.
        end: end of its validity.
        serial: serial number, a random one when 0.
    """
    private = private or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, length), critical=True)
    for extension in _usual(usages, names):
        builder = builder.add_extension(extension, critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=critical)
    by = issuer.key if issuer else private
    return Made(builder.sign(by, None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256()), private)


def authority(name: str = "root", issuer: Made | None = None, *extensions: x509.ExtensionType, **more: object) -> Made:
    """Issue the certificate of a CA."""
    return issue(name, issuer, *extensions, **({"ca": True} | more))  # type: ignore[arg-type] # arguments of issue


def broker(issuer: Made, *extensions: x509.ExtensionType, **more: object) -> Made:
    """Issue a certificate for a broker."""
    good = {"usages": (SERVER, CLIENT), "names": (x509.DNSName(HOST),)}
    return issue(HOST, issuer, *extensions, **(good | more))  # type: ignore[arg-type] # arguments of issue


def stored(name: str) -> bytes:
    """Read one of the files that OpenSSL made."""
    return (VECTORS / name).read_bytes()
