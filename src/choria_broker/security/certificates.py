"""Single certificates: reading them as strictly as the engine does, and what is in them."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import warnings
from collections.abc import Iterator
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID, NameOID, PublicKeyAlgorithmOID

from choria_broker.security.malformed import MALFORMED

_E = TypeVar("_E", bound=x509.ExtensionType)

_CURVES = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_SMALLEST_RSA = 1024
_LARGEST_RSA = 8192
_SOUND_RSA = 2048
_NEVER_CRITICAL = {
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "the identifier of its issuer's key",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "the identifier of its key",
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: "the addresses of its issuer",
}


class UnreadableCertificateError(ValueError):
    """The engine cannot read a certificate; the message says why, after ``a certificate``."""


@contextlib.contextmanager
def _old_serials() -> Iterator[None]:
    """Take serial numbers of old CAs, such as 0, which the library announces to refuse one day; the engine does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def load(pem: bytes) -> x509.Certificate:
    """Load a certificate in PEM, whatever the engine would say to it.

    Raises:
        UnreadableCertificateError: it is damaged.
    """
    try:
        with _old_serials():
            return x509.load_pem_x509_certificate(pem)
    except MALFORMED:
        raise UnreadableCertificateError("is damaged") from None


def read(der: bytes) -> x509.Certificate:
    """Read a certificate and look at all parts that later steps use.

    Raises:
        UnreadableCertificateError: the engine would refuse it, whatever it is used for.
    """
    try:
        with _old_serials():
            found = x509.load_der_x509_certificate(der)
            serial = found.serial_number
        _ = (found.subject, found.issuer, found.not_valid_before_utc, found.not_valid_after_utc)
        critical = {extension.oid for extension in found.extensions if extension.critical}
    except MALFORMED:
        raise UnreadableCertificateError("is damaged") from None
    if serial < 0:
        raise UnreadableCertificateError("has a negative serial number")
    try:
        key = found.public_key()
    except MALFORMED:
        raise UnreadableCertificateError("has a key of an unknown kind") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, _CURVES):
        raise UnreadableCertificateError(f"has a key on the curve {key.curve.name}, which the engine does not support")
    for oid, what in _NEVER_CRITICAL.items():
        if oid in critical:
            raise UnreadableCertificateError(f"marks {what} as critical, which is not allowed")
    return found


def title(certificate: x509.Certificate) -> str:
    """Name a certificate in messages: by its subject, or else by its serial number."""
    try:
        subject = certificate.subject.rfc4514_string()
    except MALFORMED:
        subject = ""
    return subject or f"with serial number {certificate.serial_number:x}"


def extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    """Return what an extension says, None when the certificate has none of the kind."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    """Return the alternative names, None when there are none."""
    return extension(certificate, x509.SubjectAlternativeName)


def hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names and addresses that a certificate is for: the alternative ones, which alone count today."""
    names = alternative_names(certificate)
    if names is None:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))


def common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the common names, which older programs took for names of hosts."""
    try:
        return tuple(str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    except MALFORMED:
        return ()


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate is good for a host, as clients and brokers find out.

    Args:
        certificate: of the other side.
        host: name or IP address that was connected to, in its one spelling.
    """
    names = alternative_names(certificate)
    if names is None:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return any(_matches(name, host) for name in names.get_values_for_type(x509.DNSName))
    return any(_unmapped(each) == _unmapped(address) for each in names.get_values_for_type(x509.IPAddress))


def _matches(pattern: str, host: str) -> bool:
    """Compare label by label; a * stands for the whole first label."""
    mine, theirs = pattern.lower().split("."), host.lower().removesuffix(".").split(".")
    if len(mine) != len(theirs) or not all(mine):
        return False
    return mine[1:] == theirs[1:] and (mine[0] == theirs[0] or (mine[0] == "*" and len(mine) > 1))


def _unmapped(address: object) -> object:
    return getattr(address, "ipv4_mapped", None) or address


def key_fault(certificate: x509.Certificate) -> str:
    """Say why no TLS connection works with a certificate's key, empty when some do."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size > _LARGEST_RSA:
        return f"an RSA key of {key.key_size} bits; programs refuse more than {_LARGEST_RSA}"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP224R1):
        return "a key on the curve P-224, which TLS 1.3 does not support"
    return signing_fault(certificate)


def signing_fault(certificate: x509.Certificate) -> str:
    """Say why the engine verifies no signature with a certificate's key, empty when it does."""
    key = certificate.public_key()
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        return "an RSA-PSS key, which the engine does not support"
    if isinstance(key, rsa.RSAPublicKey):
        short = key.key_size < _SMALLEST_RSA
        return f"an RSA key of {key.key_size} bits, which is too short for TLS" if short else ""
    if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return ""
    return "a key of a kind that cannot be used for TLS"


def key_weakness(certificate: x509.Certificate) -> str:
    """Say which clients have trouble with a key that can be used, empty when none are known to."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SOUND_RSA:
        return f"an RSA key of {key.key_size} bits; programs that use OpenSSL refuse less than {_SOUND_RSA}"
    return ""


def public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    """Return a public key in the form in which two of them can be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a certificate was issued, with name and signature, by another one's owner."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*MALFORMED, InvalidSignature):
        return False
    return True


def untimely(certificate: x509.Certificate, now: dt.datetime) -> str:
    """Say that a certificate is over or not valid yet, empty when it is in its time."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return f"is not valid before {begin:%Y-%m-%d %H:%M:%S} UTC"
    if now > end:
        return f"expired on {end:%Y-%m-%d %H:%M:%S} UTC"
    return ""
