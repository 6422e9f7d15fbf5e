"""Judges certificates by the rules of the engine and of other programs in Go, and names the remedies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from cryptography import x509

from choria_broker.security import verifier
from choria_broker.security.certificates import public_bytes, signing_fault, title, untimely
from choria_broker.security.tls_problems import Part, TlsProblem
from choria_broker.security.verifier import Cause, Use
from choria_broker.settings.finding_codes import Code

REQUEST = "request a certificate"
"""How remedies begin that want another one."""

EXPIRY_WARNING = dt.timedelta(days=14)
"""Remaining validity below which the operator is warned."""


def judge_chain(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: dt.datetime, use: Use
) -> tuple[list[TlsProblem], list[x509.Certificate]]:
    """Return what is wrong with a chain, and the certificate that is to blame when somebody refuses it.

    Args:
        chain: leaf first.
        trusted: the CAs, empty when they are not known.
        now: time for validity.
        use: what the certificate is presented as.
    """
    fault = _fault_of_chain(chain, trusted, now, use)
    if fault:
        return _report(fault, chain, trusted, now, use), [fault.certificate]
    return _check_good(chain, trusted, now, use), []


def _fault_of_chain(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: dt.datetime, use: Use
) -> verifier.Fault | None:
    """Have the certificate verified as the other side does, as far as its CA is known."""
    fault = verifier.refusal(chain, trusted, now, use) if trusted else None
    if trusted and fault is None and use is Use.CLIENT and not verifier.is_offered(chain, trusted):
        return verifier.Fault(Cause.UNTRUSTED, f"its issuer is {_issuer(chain[0])}", chain[0])
    return fault


def _check_good(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: dt.datetime, use: Use
) -> list[TlsProblem]:
    if trusted:
        return _check_ends(chain, trusted, now)
    return _dates(chain[0], Part.CERTIFICATE, now) + _check_alone(chain[0], use)


def _report(
    fault: verifier.Fault,
    chain: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    now: dt.datetime,
    use: Use,
) -> list[TlsProblem]:
    leaf = chain[0]
    at_leaf = fault.certificate == leaf
    part = Part.CA if not at_leaf and fault.certificate in trusted else Part.CERTIFICATE
    if fault.cause is Cause.DATES:
        return [each for each in _dates(fault.certificate, part, now) if each.fatal]
    code = _code(fault.cause, use)
    # Without the first words, which name the certificate that the file is about.
    text = fault.text.removeprefix(f"the certificate {title(leaf)} ")
    problem = f"the certificate {text}" if at_leaf and fault.cause is not Cause.NAMES else text
    if fault.cause is Cause.UNTRUSTED:
        issuer = fault.text.partition("its issuer is ")[2] or _issuer(leaf)
        problem = f"the certificate was not issued by a CA in the CA file; its issuer is {issuer}"
    return [TlsProblem(code=code, part=part, problem=problem, remedy=_remedy(fault.cause, use))]


def _issuer(certificate: x509.Certificate) -> str:
    return certificate.issuer.rfc4514_string() or "unnamed"


_REMEDIES = {
    Cause.UNTRUSTED: "put the issuing CA in the CA file, or missing intermediate certificates after the certificate",
    Cause.CA: "issue the certificate from a CA whose own certificate has the basic constraint CA:TRUE and, where it "
    "limits the use of its key, keyCertSign",
    Cause.SIGNATURE: "have the certificate issued again, signed with SHA-256, by a CA with a secure key",
    Cause.NAMES: f"{REQUEST} with names that the CA may certify, or use another CA",
}


def _remedy(cause: Cause, use: Use) -> str:
    if cause is Cause.USAGE:
        return f"{REQUEST} with {use.value} in its extended key usage, or without that extension"
    return _REMEDIES[cause]


def _code(cause: Cause, use: Use) -> Code:
    """Return the code of the finding about a fault; faults of dates have codes of their own."""
    if cause is Cause.USAGE:
        code = Code.TLS_NOT_FOR_SERVERS if use is Use.SERVER else Code.TLS_NOT_FOR_CLIENTS
    else:
        code = {
            Cause.CA: Code.TLS_BAD_CA,
            Cause.SIGNATURE: Code.TLS_WEAK_SIGNATURE,
            Cause.NAMES: Code.TLS_FORBIDDEN_NAME,
        }.get(cause, Code.TLS_UNTRUSTED)
    return code


def _check_alone(leaf: x509.Certificate, use: Use) -> list[TlsProblem]:
    """Look for what every program that verifies holds against a certificate, whatever CAs it trusts."""
    problems = []
    effect = "programs that verify certificates refuse it"
    if not verifier.is_for_use(leaf, use):
        problem, remedy = f"the certificate {verifier.fault_of_use(use)}", _remedy(Cause.USAGE, use)
        problems.append(
            TlsProblem(
                code=_code(Cause.USAGE, use),
                part=Part.CERTIFICATE,
                problem=problem,
                remedy=remedy,
                fatal=False,
                effect=effect,
            )
        )
    if broken := verifier.broken_hash(leaf):
        problem, remedy = f"the certificate is signed with {broken}, which is not secure", _REMEDIES[Cause.SIGNATURE]
        code = _code(Cause.SIGNATURE, use)
        problems.append(
            TlsProblem(code=code, part=Part.CERTIFICATE, problem=problem, remedy=remedy, fatal=False, effect=effect)
        )
    return problems


def _dates(certificate: x509.Certificate, part: Part, now: dt.datetime) -> list[TlsProblem]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    what = "certificate" if part is Part.CERTIFICATE else "CA certificate"
    if now < begin:
        problem = f"the {what} is not valid before {begin:%Y-%m-%d %H:%M} UTC"
        return [TlsProblem(code=Code.TLS_NOT_YET_VALID, part=part, problem=problem, overdue=True)]
    if now > end:
        problem = f"the {what} expired on {end:%Y-%m-%d %H:%M} UTC"
        return [
            TlsProblem(
                code=Code.TLS_EXPIRED,
                part=part,
                problem=problem,
                overdue=True,
            )
        ]
    if end - now < EXPIRY_WARNING:
        problem = f"the {what} expires on {end:%Y-%m-%d %H:%M} UTC"
        return [TlsProblem(code=Code.TLS_EXPIRES_SOON, part=part, problem=problem, fatal=False)]
    return []


def _check_ends(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], now: dt.datetime
) -> list[TlsProblem]:
    """Warn of a certificate that ends soon, and of the CA it hangs on."""
    soon = _dates(chain[0], Part.CERTIFICATE, now)
    above = [anchor for anchor in trusted if any(verifier.issued(each, anchor) for each in chain)]
    if not soon and above:
        # The same CA may be in the bundle twice, renewed: the freshest one decides.
        soon = _dates(max(above, key=lambda anchor: anchor.not_valid_after_utc), Part.CA, now)
    return [each for each in soon if not each.fatal]


def judge_authorities(
    trusted: Sequence[x509.Certificate], leaf: Sequence[x509.Certificate], now: dt.datetime, others: Use
) -> Iterator[TlsProblem]:
    """Look for certificates in a CA file with which nothing is verified."""
    faults = {certificate: _fault_of_authority(certificate, now, others) for certificate in dict.fromkeys(trusted)}
    good = {(each.subject, public_bytes(each.public_key())) for each, fault in faults.items() if fault is None}
    for certificate, fault in faults.items():
        if certificate in leaf:
            problem = "the file holds the broker's own certificate, which is not a CA" if fault else ""
            remedy = "put the certificate of the CA that issued it in the file instead"
            effect = "it can verify only itself"
            if problem:
                yield TlsProblem(
                    code=Code.TLS_LEAF_IN_CA, part=Part.CA, problem=problem, remedy=remedy, fatal=False, effect=effect
                )
        elif fault and (certificate.subject, public_bytes(certificate.public_key())) not in good:
            code, text = fault
            problem = f"certificate {title(certificate)} {text}"
            # While a CA is replaced the file has both, and the old one ends some day.
            untimely_only = bool(good) and code in (Code.TLS_EXPIRED, Code.TLS_NOT_YET_VALID)
            yield TlsProblem(
                code=code,
                part=Part.CA,
                problem=problem,
                remedy="remove it from the file, or replace it with a valid one",
                fatal=False,
                idle=untimely_only,
                effect="certificates that it issued are refused",
            )


def _fault_of_authority(certificate: x509.Certificate, now: dt.datetime, others: Use) -> tuple[Code, str] | None:
    issuer = verifier.fault_of_issuer(certificate, anchor=True)
    if issuer:
        return _code(issuer[0], others), issuer[1]
    if fault := signing_fault(certificate):
        return Code.TLS_WEAK_KEY, f"has {fault}"
    if text := untimely(certificate, now):
        return (Code.TLS_EXPIRED if "expired" in text else Code.TLS_NOT_YET_VALID), text
    if not verifier.is_for_use(certificate, others):
        return _code(Cause.USAGE, others), verifier.fault_of_use(others)
    return None
