"""Looks into certificate, private key and CA files and says what would go wrong with them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import ipaddress
import warnings

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from choria_broker.security.malformed import MALFORMED

EXPIRY_WARNING = dt.timedelta(days=14)
"""Remaining validity below which the operator is warned."""

_DEEPEST_CHAIN = 10
_BEGIN = b"-----BEGIN CERTIFICATE-----"


class Part(enum.StrEnum):
    """Which of the three files a problem is in."""

    CERTIFICATE = "certificate"
    KEY = "key"
    CA = "ca"


@dataclasses.dataclass(frozen=True, slots=True)
class TlsProblem:
    """One thing that is wrong with TLS files.

    Attributes:
        code: stable name of the class of problem.
        part: the file it is in.
        problem: what is wrong, without a final full stop.
        remedy: what to do.
        fatal: False when TLS still works.
        overdue: True when the files are whole and only their dates are over or not yet reached.
    """

    code: str
    part: Part
    problem: str
    remedy: str
    fatal: bool = True
    overdue: bool = False


def inspect(
    certificate: bytes | None, key: bytes | None, ca: bytes | None, now: dt.datetime, identity: str = ""
) -> tuple[TlsProblem, ...]:
    """Check one TLS identity.

    Args:
        certificate: PEM chain, leaf first; None when there is none to check.
        key: PEM private key; None when there is none to check.
        ca: PEM bundle of trusted CAs; None when there is none.
        now: time for validity, with time zone.
        identity: name the certificate should carry; empty when any will do.

    Returns:
        All problems, those that break TLS and those that only deserve a warning.
    """
    problems: list[TlsProblem] = []
    chain = _certificates(certificate, Part.CERTIFICATE, problems) if certificate is not None else []
    trusted = _certificates(ca, Part.CA, problems) if ca is not None else []
    if key is not None:
        problems += _check_key(key, chain[0] if chain else None)
    if chain:
        problems += _check_dates(chain[0], Part.CERTIFICATE, now)
        problems += _check_name(chain[0], identity)
        if trusted:
            problems += _check_chain(chain, trusted, now)
    return tuple(problems)


def _certificates(pem: bytes, part: Part, problems: list[TlsProblem]) -> list[x509.Certificate]:
    """Load all certificates of a bundle, skipping blocks of other kinds, and note what is missing or damaged."""
    blocks = pem.split(_BEGIN)[1:]
    if not blocks:
        remedy = "put the PEM certificate, which begins with -----BEGIN CERTIFICATE-----, in this file"
        problems.append(TlsProblem("tls-no-pem", part, "no PEM certificate in the file", remedy))
    loaded = [found for found in map(_certificate, blocks) if found]
    if len(loaded) < len(blocks):
        # The engine passes over damaged certificates in a CA bundle, but not in the chain it presents.
        fatal = part is Part.CERTIFICATE or not loaded
        problem = "a certificate in the file is damaged"
        problems.append(TlsProblem("tls-bad-pem", part, problem, "write the file again", fatal=fatal))
        return [] if fatal else loaded
    return loaded


def _certificate(block: bytes) -> x509.Certificate | None:
    """Load one certificate and look at all parts that later steps use, which are parsed only then."""
    try:
        with warnings.catch_warnings():
            # Old CAs have serial numbers that the library announces to refuse one day; the engine takes them.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            found = x509.load_pem_x509_certificate(_BEGIN + block)
        seen = (found.subject, found.issuer, found.not_valid_before_utc, found.not_valid_after_utc, found.public_key())
    except MALFORMED:
        return None
    return found if all(seen) else None


def _check_key(pem: bytes, leaf: x509.Certificate | None) -> list[TlsProblem]:
    try:
        public = load_pem_private_key(pem, password=None).public_key()
    except TypeError:
        problem = "the private key is protected by a passphrase"
        return [TlsProblem("tls-key-encrypted", Part.KEY, problem, "store the key without a passphrase, mode 0600")]
    except (ValueError, UnsupportedAlgorithm):
        remedy = "put the PEM private key of the certificate in this file"
        return [TlsProblem("tls-no-key", Part.KEY, "no usable PEM private key in the file", remedy)]
    if leaf is None:
        return []
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        same = public.public_bytes(*form) == leaf.public_key().public_bytes(*form)
    except MALFORMED:
        same = False
    if same:
        return []
    problem = "the private key does not belong to the certificate"
    return [TlsProblem("tls-key-mismatch", Part.KEY, problem, "use the key the certificate was requested with")]


def _check_dates(certificate: x509.Certificate, part: Part, now: dt.datetime) -> list[TlsProblem]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    what = "certificate" if part is Part.CERTIFICATE else "CA certificate"
    if now < begin:
        problem, remedy = (
            f"the {what} is not valid before {begin:%Y-%m-%d %H:%M} UTC",
            "check the clock of this machine",
        )
        return [TlsProblem("tls-not-yet-valid", part, problem, remedy, overdue=True)]
    if now > end:
        problem = f"the {what} expired on {end:%Y-%m-%d %H:%M} UTC"
        return [TlsProblem("tls-expired", part, problem, "renew it, or check the clock of this machine", overdue=True)]
    if end - now < EXPIRY_WARNING:
        problem = f"the {what} expires on {end:%Y-%m-%d %H:%M} UTC"
        return [TlsProblem("tls-expires-soon", part, problem, "renew it before that day", fatal=False)]
    return []


def _check_name(certificate: x509.Certificate, identity: str) -> list[TlsProblem]:
    names = _names(certificate)
    if not identity or any(_covers(name, identity) for name in names):
        return []
    listed = ", ".join(names) or "no name at all"
    problem = f"the certificate is for {listed}, not for {identity}"
    remedy = "clients that check names will refuse this broker; request a certificate that includes the name"
    return [TlsProblem("tls-name-mismatch", Part.CERTIFICATE, problem, remedy, fatal=False)]


def _names(certificate: x509.Certificate) -> list[str]:
    """Return alternative names and addresses, or the common name when there are none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = found.get_values_for_type(x509.DNSName)
        names += [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    except (x509.ExtensionNotFound, *MALFORMED):
        names = []
    try:
        common = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except MALFORMED:
        common = []
    return names or common


def _covers(name: str, identity: str) -> bool:
    name, identity = name.lower().rstrip("."), identity.lower().rstrip(".")
    if name.startswith("*."):
        return identity.partition(".")[2] == name[2:]
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(identity)
    except ValueError:
        return name == identity


def _check_chain(chain: list[x509.Certificate], trusted: list[x509.Certificate], now: dt.datetime) -> list[TlsProblem]:
    """Walk from the leaf over the sent intermediates to a trusted certificate, and check the dates on the way."""
    current = chain[0]
    for _ in range(_DEEPEST_CHAIN):
        if current in trusted:
            return []
        issuers = [anchor for anchor in trusted if _issued(current, anchor)]
        if issuers:
            # The same CA may be in the bundle twice, renewed: the freshest one decides.
            best = max(issuers, key=lambda anchor: anchor.not_valid_after_utc)
            return _check_dates(best, Part.CA, now)
        parents = [parent for parent in chain if parent != current and _issued(current, parent)]
        if not parents:
            break
        current = parents[0]
        late = [problem for problem in _check_dates(current, Part.CERTIFICATE, now) if problem.fatal]
        if late:
            return late
    problem = (
        f"the certificate was not issued by a CA in the CA file; its issuer is {chain[-1].issuer.rfc4514_string()}"
    )
    remedy = "put the issuing CA in the CA file, or missing intermediate certificates after the certificate"
    return [TlsProblem("tls-untrusted", Part.CERTIFICATE, problem, remedy)]


def _issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, *MALFORMED):
        return False
    return True
