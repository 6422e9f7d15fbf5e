"""Lists of revoked certificates: reading the files they are in, and finding out which can be believed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from choria_broker.security import pem
from choria_broker.security.certificates import is_issued, public_bytes
from choria_broker.security.distinguished_names import parts_of
from choria_broker.security.malformed import MALFORMED
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.revocation import Authority, Crl

_LIST = "X509 CRL"
_CERTIFICATE_ISSUER = bytes.fromhex("0603551d1d")
"""Identifier of the extension that says of an entry that the certificate is of another CA."""
_UNDERSTOOD = {ExtensionOID.ISSUING_DISTRIBUTION_POINT}


class CrlProblem(msgspec.Struct, frozen=True):
    """Why a list cannot be used.

    Attributes:
        code: class of the problem.
        problem: what is wrong, without a final full stop.
        remedy: what to do; empty takes that of the code.
    """

    code: Code
    problem: str
    remedy: str = ""


class CrlFile(msgspec.Struct, frozen=True):
    """What is in a file.

    Attributes:
        lists: the lists of CAs that are known, verified, the newest of each.
        problems: what keeps the file from being used.
        strangers: issuers of lists by CAs that are not known; such lists revoke nothing.
    """

    lists: tuple[Crl, ...] = ()
    problems: tuple[CrlProblem, ...] = ()
    strangers: tuple[str, ...] = ()


def key_of(certificate: x509.Certificate) -> str:
    """Return the name of a certificate's public key: its SHA-256 in hexadecimal, empty when it cannot be read."""
    try:
        return hashlib.sha256(public_bytes(certificate.public_key())).hexdigest()
    except MALFORMED:
        return ""


def authorities_of(certificates: Sequence[x509.Certificate]) -> tuple[Authority, ...]:
    """Tell of the certificates in a CA file what decisions about revoked ones need."""
    return tuple(
        Authority(
            fingerprint=each.fingerprint(SHA256()).hex(),
            key=key_of(each),
            subject=parts_of(each.subject.rfc4514_string()),
            issuer=parts_of(each.issuer.rfc4514_string()),
            serial=f"{each.serial_number:x}",
            issuer_key=next((key_of(other) for other in certificates if other != each and is_issued(each, other)), ""),
        )
        for each in certificates
    )


def read_crls(content: bytes, file: Path, authorities: Sequence[x509.Certificate]) -> CrlFile:
    """Read a file with lists of revoked certificates in PEM.

    Args:
        content: of the file.
        file: its path.
        authorities: the CAs that are known.
    """
    blocks = [block for block in pem.blocks(content) if block.kind == _LIST]
    if pem.passed_over(content, _LIST):
        form = pem.fault_of_form(content)
        problem = "a list of revoked certificates in the file is damaged or incomplete"
        return CrlFile(problems=(CrlProblem(Code.CRL_DAMAGED, f"{problem}: {form}" if form else problem),))
    if not blocks:
        return CrlFile(problems=(_no_list(content),))
    lists: list[Crl] = []
    problems: list[CrlProblem] = []
    strangers: list[str] = []
    for number, block in enumerate(blocks, start=1):
        which = f"list {number} in the file" if len(blocks) > 1 else "the list of revoked certificates"
        read = _read(block.content, which, file, authorities)
        if isinstance(read, Crl):
            lists.append(read)
        elif isinstance(read, CrlProblem):
            problems.append(read)
        else:
            strangers.append(read)
    problems += spread(lists)
    if not lists and not problems:
        named = ", ".join(strangers)
        problem = f"only lists of CAs that are not in the CA file: {named}"
        problems.append(CrlProblem(Code.CRL_STRANGER, problem, "put the list of the CA in the CA file here"))
    return CrlFile(newest(lists), tuple(problems), tuple(strangers))


def spread(lists: Sequence[Crl]) -> tuple[CrlProblem, ...]:
    """Return what is wrong with several lists of one key that are each about a part of its certificates."""
    points: dict[str, set[str]] = {}
    for each in lists:
        points.setdefault(each.key, set()).add(each.point)
    several = dict.fromkeys(each.issuer for each in lists if len(points[each.key]) > 1)
    return tuple(
        CrlProblem(
            Code.CRL_KIND,
            f"lists of {issuer} for several distribution points, each for a part of the CA's certificates",
            "use the CA's complete list",
        )
        for issuer in several
    )


def newest(lists: Iterable[Crl]) -> tuple[Crl, ...]:
    """Return the newest list of each key; of equal ones the last."""
    found: dict[str, Crl] = {}
    for each in lists:
        known = found.get(each.key)
        if known is None or not each.older_than(known):
            found[each.key] = each
    return tuple(found.values())


def _no_list(content: bytes) -> CrlProblem:
    form = pem.fault_of_form(content)
    remedy = "put lists of revoked certificates there that begin with -----BEGIN X509 CRL-----"
    if "DER" in form:
        remedy = "convert it: openssl crl -inform der -in FILE -out FILE.pem"
    return CrlProblem(
        Code.CRL_DAMAGED, f"no list of revoked certificates in the file{f': {form}' if form else ''}", remedy
    )


def _read(der: bytes, which: str, file: Path, authorities: Sequence[x509.Certificate]) -> Crl | CrlProblem | str:
    """Read one list; a text is the name of an issuer that is not known."""
    try:
        found = x509.load_der_x509_crl(der)
        issuer = found.issuer.rfc4514_string()
        critical = [each.oid for each in found.extensions if each.critical and each.oid not in _UNDERSTOOD]
        serials = frozenset(f"{each.serial_number:x}" for each in found)
        number = _number(found)
        updated, following = found.last_update_utc, found.next_update_utc
        point = _point(found)
        scope = _scope(found, der)
    except MALFORMED:
        return CrlProblem(Code.CRL_DAMAGED, f"{which} is damaged")
    named = f"{which}, of {issuer},"
    if ExtensionOID.DELTA_CRL_INDICATOR in critical or _is_delta(found):
        problem = f"{named} is a delta list, which has only the changes since another one"
        return CrlProblem(Code.CRL_KIND, problem, "use the CA's complete list")
    if critical or scope:
        why = scope or f"has an unknown critical extension ({critical[0].dotted_string})"
        return CrlProblem(Code.CRL_KIND, f"{named} {why}", "use the CA's complete list")
    namesakes = [each for each in authorities if each.subject == found.issuer or _same(each, issuer)]
    if not namesakes:
        return issuer or "unnamed"
    signer = next((each for each in namesakes if _signed(found, each)), None)
    if signer is None:
        problem = f"{named} was not signed by the CA of this name in the CA file"
        return CrlProblem(
            Code.CRL_SIGNATURE, problem, "have the CA write its list again; check that the CA file is its own"
        )
    return Crl(
        issuer=issuer,
        key=key_of(signer),
        file=file,
        updated=updated.timestamp(),
        number=number,
        next_update=following.timestamp() if following else None,
        serials=serials,
        point=point,
    )


def _same(authority: x509.Certificate, issuer: str) -> bool:
    parts = parts_of(issuer)
    return bool(parts) and parts == parts_of(authority.subject.rfc4514_string())


def _signed(found: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return found.is_signature_valid(authority.public_key())  # type: ignore[arg-type] # others raise
    except MALFORMED:
        return False


def _number(found: x509.CertificateRevocationList) -> int | None:
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _is_delta(found: x509.CertificateRevocationList) -> bool:
    try:
        return bool(found.extensions.get_extension_for_class(x509.DeltaCRLIndicator))
    except x509.ExtensionNotFound:
        return False


def _is_of_another(entry: x509.RevokedCertificate) -> bool:
    return any(each.oid == CRLEntryExtensionOID.CERTIFICATE_ISSUER for each in entry.extensions)


def _distribution(found: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    try:
        return found.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None


def _point(found: x509.CertificateRevocationList) -> str:
    point = _distribution(found)
    if point is None:
        return ""
    return repr(point.full_name or point.relative_name or "")


def _scope(found: x509.CertificateRevocationList, der: bytes) -> str:
    """Say that a list is not about all certificates of its issuer, empty when it is."""
    point = _distribution(found)
    # Looking at the extensions of each entry takes as long as all the rest.
    if (point and point.indirect_crl) or (_CERTIFICATE_ISSUER in der and any(map(_is_of_another, found))):
        return "covers certificates of other CAs"
    if point is None:
        return ""
    some = point.only_contains_user_certs or point.only_contains_ca_certs or point.only_contains_attribute_certs
    return "covers only a part of the CA's certificates" if some or point.only_some_reasons else ""
