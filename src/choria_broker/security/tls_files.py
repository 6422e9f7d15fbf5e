"""Looks into certificate, private key and CA files and says what would go wrong with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from choria_broker.security import pem
from choria_broker.security.certificates import (
    UnreadableCertificateError,
    common_names,
    hosts,
    is_for,
    key_fault,
    key_weakness,
    public_bytes,
    read,
)
from choria_broker.security.malformed import MALFORMED
from choria_broker.security.tls_chain import REQUEST, judge_authorities, judge_chain
from choria_broker.security.tls_problems import Part, TlsProblem
from choria_broker.security.verifier import Use
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.hostnames import comparable
from choria_broker.wording import HIDDEN, is_place

_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


_CERTIFICATE = "CERTIFICATE"
_PRIVATE_KEY = "PRIVATE KEY"
_WRITE_AGAIN = "write the file again as PEM: unindented lines, in ASCII, each block as the tool that made it wrote it"


def inspect(
    certificate: bytes | None,
    key: bytes | None,
    ca: bytes | None,
    now: dt.datetime,
    identity: str = "",
    use: Use = Use.SERVER,
) -> tuple[TlsProblem, ...]:
    """Check one TLS identity.

    Args:
        certificate: PEM chain, leaf first; None when there is none to check.
        key: PEM private key; None when there is none to check.
        ca: PEM bundle of trusted CAs; None when there is none.
        now: time for validity, with time zone.
        identity: name the certificate should carry; empty when any will do.
        use: what the certificate is presented as; the CA verifies those who present theirs as the other.

    Returns:
        All problems, those that break TLS and those that only deserve a warning.
    """
    problems: list[TlsProblem] = []
    chain = _certificates(certificate, Part.CERTIFICATE, problems) if certificate is not None else []
    trusted = _certificates(ca, Part.CA, problems) if ca is not None else []
    blamed: list[x509.Certificate] = []
    if key is not None:
        problems += _check_key(key, chain)
    if chain:
        judged, blamed = judge_chain(chain, trusted, now, use)
        problems += judged
        problems += _check_leaf_key(chain[0])
        if identity and not any(each.code == Code.TLS_KEY_MISMATCH for each in problems):
            problems += check_host(chain[0], identity, "clients that check names refuse this broker")
    others = Use.CLIENT if use is Use.SERVER else Use.SERVER
    problems += judge_authorities([each for each in trusted if each not in blamed], chain[:1], now, others)
    return tuple(problems)


def load(content: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a file that the engine can read."""
    return tuple(_certificates(content, Part.CERTIFICATE, []))


def load_authorities(content: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a CA file that the engine can read."""
    return tuple(_certificates(content, Part.CA, []))


def check_host(leaf: x509.Certificate, host: str, effect: str) -> Iterator[TlsProblem]:
    """Check that a certificate is for a host.

    Args:
        leaf: the certificate.
        host: what others connect to.
        effect: what happens when it is not.
    """
    listed = hosts(leaf)
    if is_for(leaf, comparable(host)):
        return
    shown = host if is_place(host) else HIDDEN
    remedy = f"{REQUEST} with the alternative name {shown}"
    names = ", ".join(listed or common_names(leaf)) or "no name at all"
    if listed:
        code, problem = Code.TLS_NAME_MISMATCH, f"the certificate is for {names}, not for {shown}"
    else:
        code = Code.TLS_COMMON_NAME_ONLY
        problem = (
            f"the certificate has no alternative names, only the common name {names}, which programs no longer look at"
        )
        effect = f"{effect}, except go-choria with Puppet's certificates"
    part = Part.CERTIFICATE
    yield TlsProblem(code=code, part=part, problem=problem, remedy=remedy, fatal=False, effect=effect)


def _certificates(content: bytes, part: Part, problems: list[TlsProblem]) -> list[x509.Certificate]:
    """Load what the engine finds in a file, and note what is missing, damaged or passed over."""
    found = [block for block in pem.blocks(content) if block.kind == _CERTIFICATE]
    if part is Part.CA:
        found = [block for block in found if not block.headers]
    form = pem.fault_of_form(content)
    if not found:
        problems.append(_no_certificate(content, part, form))
        return []
    if missed := pem.passed_over(content, _CERTIFICATE):
        problem = f"the engine ignores {missed} of the certificates in the file"
        problem = f"{problem}: {form}" if form else f"{problem}, which are damaged"
        effect = (
            ("the others are used") if part is Part.CERTIFICATE else "certificates that those CAs issued are refused"
        )
        problems.append(
            TlsProblem(
                code=Code.TLS_BAD_PEM, part=part, problem=problem, remedy=_WRITE_AGAIN, fatal=False, effect=effect
            )
        )
    loaded: list[x509.Certificate] = []
    for number, block in enumerate(found, start=1):
        try:
            loaded.append(read(block.content))
        except UnreadableCertificateError as error:
            # The engine passes over damaged certificates in a CA bundle, but nobody takes a chain with one in it.
            problem = f"certificate {number} in the file {error}" if len(found) > 1 else f"the certificate {error}"
            fatal = part is Part.CERTIFICATE or len(found) == 1
            effect = "certificates that this CA issued are refused"
            problems.append(
                TlsProblem(
                    code=Code.TLS_BAD_PEM,
                    part=part,
                    problem=problem,
                    remedy="replace the certificate",
                    fatal=fatal,
                    effect=effect,
                )
            )
    return [] if part is Part.CERTIFICATE and len(loaded) < len(found) else loaded


def _no_certificate(content: bytes, part: Part, form: str) -> TlsProblem:
    problem, remedy = "no PEM certificate in the file", _WRITE_AGAIN
    kinds = [block.kind for block in pem.blocks(content)]
    if form:
        problem = f"{problem}: {form}"
        if "DER" in form:
            remedy = "convert it: openssl x509 -inform der -in FILE -out FILE.pem"
    elif kinds:
        problem = f"{problem}, but a {kinds[0]}"
        remedy = "put the PEM certificate, which begins with -----BEGIN CERTIFICATE-----, in this file"
        if kinds[0].endswith(_PRIVATE_KEY) and part is Part.CERTIFICATE:
            remedy = "are the settings of certificate and key swapped? " + remedy
    elif not pem.passed_over(content, _CERTIFICATE):
        remedy = "put the PEM certificate, which begins with -----BEGIN CERTIFICATE-----, in this file"
    else:
        return TlsProblem(
            code=Code.TLS_BAD_PEM,
            part=part,
            problem="the certificate in the file is damaged",
            remedy="write the file again",
        )
    return TlsProblem(code=Code.TLS_NO_PEM, part=part, problem=problem, remedy=remedy)


def _check_key(content: bytes, chain: Sequence[x509.Certificate]) -> list[TlsProblem]:
    form = pem.fault_of_form(content)
    found = pem.private_key(content)
    if found is None:
        remedy = "put the PEM private key of the certificate in this file"
        if "DER" in form:
            remedy = "convert it: openssl pkey -inform der -in FILE -out FILE.pem"
        problem = "no usable PEM private key in the file" + (f": {form}" if form else "")
        return [TlsProblem(code=Code.TLS_NO_KEY, part=Part.KEY, problem=problem, remedy=remedy)]
    if found.headers or found.kind.startswith("ENCRYPTED "):
        problem = "the private key is protected by a passphrase"
        return [
            TlsProblem(
                code=Code.TLS_KEY_ENCRYPTED,
                part=Part.KEY,
                problem=problem,
            )
        ]
    private = _private_key(found.content)
    if private is None:
        remedy = "use an RSA, ECDSA or Ed25519 key in the form PKCS#8, such as openssl genpkey writes"
        problem = f"no usable PEM private key in the file: its {found.kind} cannot be used"
        return [TlsProblem(code=Code.TLS_NO_KEY, part=Part.KEY, problem=problem, remedy=remedy)]
    if not chain:
        return []
    owners = [number for number, each in enumerate(chain, start=1) if _same_key(private.public_key(), each)]
    if 1 in owners:
        return []
    problem, remedy = (
        "the private key does not belong to the certificate",
        "use the key with which the certificate was requested",
    )
    if owners:
        problem = (
            f"the private key belongs to certificate {owners[0]} in the certificate file, and not to the first one"
        )
        remedy = "put the broker's own certificate first in its file, and those of CAs after it"
    return [TlsProblem(code=Code.TLS_KEY_MISMATCH, part=Part.KEY, problem=problem, remedy=remedy)]


def rsa_bits(content: bytes) -> int:
    """Return the length of the RSA key in a file, in bits; 0 for keys of other kinds, and where there is none."""
    found = pem.private_key(content)
    private = _private_key(found.content) if found else None
    return private.key_size if isinstance(private, rsa.RSAPrivateKey) else 0


def _private_key(der: bytes) -> _PrivateKey | None:
    """Load a private key of a kind that the engine takes, None when it is none."""
    try:
        # The library looks for primes as well, which takes seconds for long keys.
        private = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(private, rsa.RSAPrivateKey):
        return private if _consistent(private.private_numbers()) else None
    return private if isinstance(private, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) else None


def _consistent(numbers: rsa.RSAPrivateNumbers) -> bool:
    """Tell whether the numbers of an RSA key belong together."""
    product = numbers.d * numbers.public_numbers.e - 1
    primes = (numbers.p, numbers.q)
    return numbers.p * numbers.q == numbers.public_numbers.n and all(p > 1 and product % (p - 1) == 0 for p in primes)


def _same_key(public: object, certificate: x509.Certificate) -> bool:
    try:
        return public_bytes(public) == public_bytes(certificate.public_key())  # type: ignore[arg-type] # of that key
    except MALFORMED:
        return False


def _check_leaf_key(leaf: x509.Certificate) -> Iterator[TlsProblem]:
    remedy = f"{REQUEST} with an RSA key of 2048 to 4096 bits or an ECDSA key on P-256"
    if fault := key_fault(leaf):
        yield TlsProblem(
            code=Code.TLS_WEAK_KEY, part=Part.CERTIFICATE, problem=f"the certificate has {fault}", remedy=remedy
        )
    elif weakness := key_weakness(leaf):
        problem, effect = f"the certificate has {weakness}", "such programs cannot connect"
        yield TlsProblem(
            code=Code.TLS_WEAK_KEY, part=Part.CERTIFICATE, problem=problem, remedy=remedy, fatal=False, effect=effect
        )
