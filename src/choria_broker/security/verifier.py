"""Whether the engine, and other programs of Choria, would verify a certificate: found out without a connection."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator, Sequence

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from choria_broker.security import name_constraints
from choria_broker.security.certificates import alternative_names, extension, signing_fault, title, untimely
from choria_broker.security.malformed import MALFORMED

_DEEPEST = 8
_MOST_CHECKS = 100
"""Signatures that are looked at for one certificate; the engine has the same bound."""
_BROKEN = {"md5": "MD5", "sha1": "SHA-1"}
_HASHES = (SHA256, SHA384, SHA512)
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)
_COMPARED_NAMES = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name)


class Use(enum.Enum):
    """What a certificate is presented as; the value is how certificates spell it."""

    SERVER = "serverAuth"
    CLIENT = "clientAuth"


_USAGES = {Use.SERVER: ExtendedKeyUsageOID.SERVER_AUTH, Use.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH}


class Cause(enum.Enum):
    """Class of a fault."""

    UNTRUSTED = "no chain to a trusted certificate"
    DATES = "not valid at this time"
    USAGE = "not for this use"
    CA = "an issuer that is not a CA, or not at this depth"
    SIGNATURE = "a signature that is not accepted"
    NAMES = "names that a CA does not permit"


class Fault(msgspec.Struct, frozen=True):
    """Why a certificate is not verified.

    Attributes:
        cause: class of the fault.
        text: which certificate, and what is wrong with it; without a final full stop.
        certificate: the one that is at fault.
    """

    cause: Cause
    text: str
    certificate: x509.Certificate


def refusal(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: dt.datetime, use: Use
) -> Fault | None:
    """Say why a certificate is not verified during the TLS handshake, None when it is.

    A chain must lead to a trusted certificate. All its certificates must be in their time, be made for the use where
    they say what they are for, and be signed with algorithms that are secure; those that issue others must be CAs, and
    allow the names in the certificate.

    Args:
        chain: what is presented, the certificate itself first; not empty.
        trusted: the certificates in the CA file of the side that verifies.
        now: the moment, with time zone.
        use: what it is presented as.
    """
    search = _Search(chain[1:], trusted, now, use)
    leaf = chain[0]
    try:
        if search.leads_to_trust([leaf]):
            return None
    except MALFORMED:
        return Fault(Cause.UNTRUSTED, "a certificate or one of its extensions cannot be read", leaf)
    if search.faults:
        return search.faults[0]
    return Fault(Cause.UNTRUSTED, _unknown_issuer(chain), leaf)


def is_offered(chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> bool:
    """Tell whether a Go program shows its certificate: the server names its CAs, and one must have issued the chain."""
    known = {certificate.subject.public_bytes() for certificate in trusted}
    return any(certificate.issuer.public_bytes() in known for certificate in chain)


def _unknown_issuer(chain: Sequence[x509.Certificate]) -> str:
    last = chain[0]
    for _ in chain:
        parent = next((each for each in chain if each != last and issued(last, each)), None)
        if parent is None:
            break
        last = parent
    return f"it was not issued by a CA in the CA file; its issuer is {last.issuer.rfc4514_string() or 'unnamed'}"


class _Search(msgspec.Struct):
    """A search for a way from a certificate to one that is trusted."""

    sent: Sequence[x509.Certificate]
    trusted: Sequence[x509.Certificate]
    now: dt.datetime
    use: Use
    faults: list[Fault] = msgspec.field(default_factory=list)
    checks: int = 0

    def leads_to_trust(self, path: list[x509.Certificate]) -> bool:
        """Try every way on from the end of a path, and note what is wrong with ways that would end in trust."""
        last = path[-1]
        if len(path) == 1 and last in self.trusted:
            return self._good(path)
        for anchor in self._issuers(last, self.trusted, path):
            if self._good([*path, anchor]):
                return True
        return len(path) < _DEEPEST and any(
            self.leads_to_trust([*path, parent]) for parent in self._issuers(last, self.sent, path)
        )

    def _issuers(
        self, child: x509.Certificate, candidates: Sequence[x509.Certificate], path: list[x509.Certificate]
    ) -> Iterator[x509.Certificate]:
        name = child.issuer.public_bytes()
        for candidate in candidates:
            if candidate in path or candidate.subject.public_bytes() != name:
                continue
            self.checks += 1
            if self.checks <= _MOST_CHECKS and issued(child, candidate):
                yield candidate

    def _good(self, path: list[x509.Certificate]) -> bool:
        fault = _fault(path, self.now, self.use)
        if fault:
            self.faults.append(fault)
        return fault is None


def issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Tell whether a certificate names another one as its issuer and is signed with the key of that."""
    if child.issuer.public_bytes() != parent.subject.public_bytes():
        return False
    if broken_hash(child):
        # Nobody checks such a signature, so the name has to do.
        return True
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, *MALFORMED):
        return False
    return True


def broken_hash(certificate: x509.Certificate) -> str:
    """Name the hash of a signature that is not secure any more, such as SHA-1; empty when it is."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except MALFORMED:
        return ""
    return _BROKEN.get(algorithm.name, "") if algorithm else ""


def _fault(path: Sequence[x509.Certificate], now: dt.datetime, use: Use) -> Fault | None:
    """Say what is wrong with a path of certificates that issued each other, the one that is presented first."""
    for depth, certificate in enumerate(path):
        last = depth == len(path) - 1
        found = (
            _untimely(certificate, now)
            or _not_understood(certificate)
            or (fault_of_issuer(certificate, depth - 1, anchor=last) if depth else None)
            or (None if last else _fault_of_signature(certificate, path[depth + 1]))
        )
        if found:
            cause, text = found
            return Fault(cause, f"{_name(certificate, depth)} {text}", certificate)
    if _policies_missing(path):
        return Fault(Cause.CA, "a CA above it requires policies that the certificate does not have", path[0])
    for depth, certificate in enumerate(path):
        if not is_for_use(certificate, use):
            text = f"{_name(certificate, depth)} {fault_of_use(use)}"
            return Fault(Cause.USAGE, text, certificate)
    text = name_constraints.forbidden(path) or ""
    return Fault(Cause.NAMES, text, path[0]) if text else None


def _name(certificate: x509.Certificate, depth: int) -> str:
    return f"the certificate {title(certificate)}" if depth == 0 else f"CA certificate {title(certificate)}"


def _untimely(certificate: x509.Certificate, now: dt.datetime) -> tuple[Cause, str] | None:
    text = untimely(certificate, now)
    return (Cause.DATES, text) if text else None


def _not_understood(certificate: x509.Certificate) -> tuple[Cause, str] | None:
    for each in certificate.extensions:
        if not each.critical:
            continue
        understood = each.oid in _UNDERSTOOD
        if each.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME:
            names = alternative_names(certificate) or ()
            understood = any(isinstance(name, _COMPARED_NAMES) for name in names)
        elif each.oid == ExtensionOID.NAME_CONSTRAINTS:
            understood = not name_constraints.unhandled(certificate)
        if not understood:
            return Cause.CA, f"has an unsupported critical extension, {each.oid.dotted_string}"
    return None


def is_for_use(certificate: x509.Certificate, use: Use) -> bool:
    """Tell whether a certificate may be used so: where it does not say what it is for, it may."""
    usages = extension(certificate, x509.ExtendedKeyUsage)
    return usages is None or bool({_USAGES[use], ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.intersection(usages))


def fault_of_use(use: Use) -> str:
    """Say that a certificate may not be used so."""
    who = "servers" if use is Use.SERVER else "clients"
    return f"is not for {who}: its extended key usage lacks {use.value}"


def fault_of_issuer(certificate: x509.Certificate, between: int = 0, *, anchor: bool) -> tuple[Cause, str] | None:
    """Say what keeps a certificate from being a CA.

    Args:
        certificate: that of the CA.
        between: number of CAs below it.
        anchor: True when it is in the CA file.
    """
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None and (not anchor or certificate.version is x509.Version.v3):
        return Cause.CA, "is not a CA: it lacks the basic constraint CA:TRUE"
    if constraints is not None and not constraints.ca:
        return Cause.CA, "is not a CA: its basic constraints say CA:FALSE"
    if constraints is not None and constraints.path_length is not None and between > constraints.path_length:
        return Cause.CA, "allows fewer intermediate CAs below it"
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return Cause.CA, "may not sign certificates: its key usage lacks keyCertSign"
    return None


def _fault_of_signature(certificate: x509.Certificate, issuer: x509.Certificate) -> tuple[Cause, str] | None:
    if broken := broken_hash(certificate):
        return Cause.SIGNATURE, f"is signed with {broken}, which is not secure"
    try:
        algorithm = certificate.signature_hash_algorithm
    except MALFORMED:
        return Cause.SIGNATURE, "is signed with an unknown algorithm"
    if algorithm is not None and not isinstance(algorithm, _HASHES):
        return Cause.SIGNATURE, f"is signed with {algorithm.name.upper()}, which the engine does not support"
    if fault := signing_fault(issuer):
        return Cause.SIGNATURE, f"is signed with {fault}"
    parameters = certificate.signature_algorithm_parameters
    if isinstance(parameters, padding.PSS) and algorithm and not _usual_pss(parameters, algorithm.digest_size):
        return Cause.SIGNATURE, "is signed with unusual RSA-PSS parameters, which the engine does not support"
    return None


def _usual_pss(parameters: padding.PSS, digest_size: int) -> bool:
    return parameters._salt_length == digest_size  # noqa: SLF001 - the library has no other way to ask


def _policies_missing(path: Sequence[x509.Certificate]) -> bool:
    """Tell whether a CA demands policies, and not every certificate below the trusted one has some."""
    demanded = len(path)
    without = False
    for depth in range(len(path) - 2, -1, -1):
        certificate = path[depth]
        without = without or extension(certificate, x509.CertificatePolicies) is None
        if demanded == 0 and without:
            return True
        if depth and certificate.issuer != certificate.subject:
            demanded = max(demanded - 1, 0)
        constraints = extension(certificate, x509.PolicyConstraints)
        if constraints is not None and constraints.require_explicit_policy is not None:
            wanted = constraints.require_explicit_policy
            if depth:
                demanded = min(demanded, wanted)
            elif wanted == 0:
                demanded = 1
    return max(demanded - 1, 0) == 0 and without and len(path) > 1
