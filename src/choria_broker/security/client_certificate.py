"""Whether the engine would verify a client's certificate, found out without a connection."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID

from choria_broker.security.malformed import MALFORMED

_E = TypeVar("_E", bound=x509.ExtensionType)

_DEEPEST = 8
_BEGIN = b"-----BEGIN CERTIFICATE-----"


class CertificateFileError(ValueError):
    """A file holds no certificates; the message says why."""


def load_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Load the certificates of a PEM file in their order.

    Raises:
        CertificateFileError: there is none, or one cannot be read.
    """
    blocks = pem.split(_BEGIN)[1:]
    if not blocks:
        raise CertificateFileError("no PEM certificate in the file")
    try:
        with warnings.catch_warnings():
            # Old CAs have serial numbers that the library announces to refuse one day; the engine takes them.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return tuple(x509.load_pem_x509_certificate(_BEGIN + block) for block in blocks)
    except MALFORMED:
        raise CertificateFileError("a certificate in the file is damaged") from None


def refusal(chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: dt.datetime) -> str | None:
    """Say why the engine would refuse a client's certificate during the TLS handshake, None when it would verify it.

    A chain must lead to a trusted certificate; all its certificates must be in their time, be made for the use of
    clients where they say what they are for, and those that issue others must be CAs. Name constraints of CAs are not
    looked at.

    Args:
        chain: what the client sends, its own certificate first; not empty.
        trusted: the certificates in the broker's CA file.
        now: the moment, with time zone.
    """
    faults: list[str] = []
    try:
        if _leads_to_trust([chain[0]], chain[1:], trusted, now, faults):
            return None
    except MALFORMED:
        return "a certificate or one of its extensions cannot be read"
    if faults:
        return faults[0]
    return f"no CA in the broker's CA file issued it; its issuer is {chain[-1].issuer.rfc4514_string() or 'unnamed'}"


def _leads_to_trust(
    path: list[x509.Certificate],
    sent: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    now: dt.datetime,
    faults: list[str],
) -> bool:
    """Try every way on from the end of a path, and note what is wrong with ways that would end in trust."""
    last = path[-1]
    ends = [path] if last in trusted else [[*path, anchor] for anchor in trusted if _issued(last, anchor)]
    for end in ends:
        fault = _fault(end, now)
        if fault is None:
            return True
        faults.append(fault)
    if len(path) == _DEEPEST:
        return False
    parents = [parent for parent in sent if parent not in path and _issued(last, parent)]
    return any(_leads_to_trust([*path, parent], sent, trusted, now, faults) for parent in parents)


def _issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, *MALFORMED):
        return False
    return True


def _fault(path: Sequence[x509.Certificate], now: dt.datetime) -> str | None:
    """Say what is wrong with a path of certificates that issued each other, the client's first."""
    for depth, certificate in enumerate(path):
        name = f"the certificate {_name(certificate)}" if depth == 0 else f"CA certificate {_name(certificate)}"
        fault = _fault_of_one(certificate, now) or (_fault_of_issuer(certificate, depth - 1) if depth else None)
        if fault:
            return f"{name} {fault}"
        if depth < len(path) - 1 and isinstance(certificate.signature_hash_algorithm, MD5 | SHA1):
            return f"{name} is signed with {certificate.signature_hash_algorithm.name.upper()}, which is not secure"
    return None


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"with serial number {certificate.serial_number:x}"


def _fault_of_one(certificate: x509.Certificate, now: dt.datetime) -> str | None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return f"is not valid before {begin:%Y-%m-%d %H:%M:%S} UTC"
    if now > end:
        return f"expired on {end:%Y-%m-%d %H:%M:%S} UTC"
    for extension in certificate.extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            return f"has a critical extension that is not understood, {extension.oid.dotted_string}"
    usages = _extension(certificate, x509.ExtendedKeyUsage)
    allowing = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usages is not None and not allowing.intersection(usages):
        return "is not for the use of clients: its extended key usage lacks clientAuth"
    return None


def _fault_of_issuer(certificate: x509.Certificate, between: int) -> str | None:
    """Say what keeps a certificate from being a CA with a number of further CAs below it."""
    if certificate.version is x509.Version.v1:
        return None
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return "is not a CA"
    if constraints.path_length is not None and between > constraints.path_length:
        return "allows fewer CAs below it"
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return "may not sign certificates: its key usage lacks keyCertSign"
    return None


def _extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
