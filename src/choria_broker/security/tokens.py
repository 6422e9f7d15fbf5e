"""Tokens: taking the envelope apart and finding out whether it can be believed."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import json
from collections.abc import Sequence
from typing import Never, TypeVar, cast

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from choria_broker.security import chain
from choria_broker.security.conditions import Checks
from choria_broker.security.keys import SignatureCheck, VerificationKey, ed25519_verifies, is_ed25519, rsa_verifies
from choria_broker.security.tokens_claims import ClaimError, Claims, Payload, stated_purpose
from choria_broker.security.tokens_encoding import decode_base64url
from choria_broker.values import Discreet

EDDSA = "EdDSA"
"""The algorithm of ed25519 keys, spelled as in a token's header."""

LONGEST_TOKEN = 8192
"""Characters a token may have; real ones have one or two thousand. The engine lets no more through."""

BY_NO_TRUSTED_KEY = "the signature was not made by a trusted key"

CLOCK_LEEWAY = 60
"""Seconds by which ``iat`` and ``nbf`` may lie ahead of the broker's clock.

A token that was made this moment on a machine whose clock runs a little fast is an honest one, and time
synchronisation keeps machines well within a minute of each other. ``exp`` and ``issexp`` have no such leeway: whoever
ends a token means it.
"""

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "RS256": hashes.SHA256(),
    "RS384": hashes.SHA384(),
    "RS512": hashes.SHA512(),
}
_PARTS = 3
_SPACE = " \t\r\n\v\f"

_C = TypeVar("_C", bound=Claims)

MOST_VALUES = 400
"""Values a payload may hold, lists and objects included; real ones have some thirty, and each costs time to read."""

_NEVER_TOO_MANY = 1024
"""Bytes of a payload in which so many values would not cost more than in an ordinary one."""


class Fault(enum.StrEnum):
    """Why a token is not believed."""

    MALFORMED = "token-malformed"
    ALGORITHM = "token-algorithm"
    ORGANIZATION = "token-organization"
    NO_SIGNER = "token-no-signer"
    CLAIMS = "token-claims"
    SIGNATURE = "token-signature"
    CHAIN = "token-chain"
    EXPIRED = "token-expired"
    ISSUER_EXPIRED = "token-issuer-expired"
    NOT_YET_VALID = "token-not-yet-valid"
    FUTURE = "token-issued-in-future"
    PURPOSE = "token-purpose"


class Rejection(msgspec.Struct, frozen=True):
    """A token that is not believed.

    Attributes:
        fault: which kind of fault.
        reason: what is wrong, without anything secret.
    """

    fault: Fault
    reason: str


class Envelope(Discreet, frozen=True):
    """A token taken apart, believed in nothing.

    Attributes:
        algorithm: ``alg`` of the header, one of the accepted ones.
        payload: the claims as they stand there.
        purpose: the purpose the payload states, empty when none.
        signed: the bytes the signature is over.
        signature: the signature.
    """

    algorithm: str
    payload: Payload
    purpose: str
    signed: bytes
    signature: bytes


def open_envelope(text: str) -> Envelope | Rejection:
    """Take a token apart without believing any of it, and without keeping any of it.

    Args:
        text: the token as it was sent; white space around it is ignored.

    Returns:
        The envelope, or why there is none.
    """
    token = text.strip(_SPACE)
    parts = token.split(".", _PARTS)
    fault = _outside_fault(token, parts)
    if fault is not None:
        return Rejection(Fault.MALFORMED, fault)
    try:
        algorithm = _stated_algorithm(parts[0])
        payload = _read_object(parts[1])
        signature = decode_base64url(parts[2])
        purpose = stated_purpose(payload)
    except ClaimError as error:
        return Rejection(Fault.CLAIMS, str(error))
    except (ValueError, RecursionError):
        return Rejection(Fault.MALFORMED, "the token is not base64url of JSON objects and a signature")
    if algorithm is None:
        return Rejection(Fault.ALGORITHM, "the token is not signed with EdDSA, RS256, RS384 or RS512")
    return Envelope(
        algorithm=algorithm,
        payload=payload,
        purpose=purpose,
        signed=f"{parts[0]}.{parts[1]}".encode("ascii"),
        signature=signature,
    )


def verify(
    envelope: Envelope,
    kind: type[_C],
    signers: Sequence[VerificationKey],
    now: float,
    signed_by: SignatureCheck = ed25519_verifies,
    alone: SignatureCheck | None = None,
) -> _C | Rejection:
    """Find out whether a token was made by one of the signers and may be used now.

    Args:
        envelope: the token.
        kind: the kind of token it has to be.
        signers: keys of those who may make such tokens, or vouch for chain issuers that do.
        now: Unix seconds.
        signed_by: checks the ed25519 signatures of the token and of its chain.
        alone: checks those of them on which alone it hangs whether the token is believed: it may leave that open.

    Returns:
        The claims, to be believed when what was left open holds, or why they are not.
    """
    try:
        claims = kind.read(envelope.payload)
    except ClaimError as error:
        return Rejection(Fault.CLAIMS, str(error))
    if not claims.serves_purpose:
        return Rejection(Fault.PURPOSE, f"the token is not for purpose {kind.PURPOSE}")
    return (
        _origin_fault(envelope, claims, signers, Checks(signed_by, alone))
        or _time_fault(claims, now)
        or _issuer_time_fault(claims, now)
        or _content_fault(claims)
        or claims
    )


def made_by(
    envelope: Envelope,
    claims: Claims,
    signers: Sequence[VerificationKey],
    signed_by: SignatureCheck = ed25519_verifies,
) -> VerificationKey | None:
    """Find out which of the signers made a verified token, or vouches for the chain issuer that did.

    Args:
        envelope: the token.
        claims: that it was found to have.
        signers: keys that it was verified with.
        signed_by: checks the ed25519 signatures of the token and of its chain.
    """
    if len(signers) == 1:
        return signers[0]
    # What a chain issuer has signed was looked at already, and says nothing about who vouches for it.
    by_issuer = _is_chained(claims) and claims.CHAINED and envelope.algorithm == EDDSA
    checks = Checks(signed_by, _granted if by_issuer else None)
    return next((key for key in signers if _origin_fault(envelope, claims, (key,), checks) is None), None)


def _outside_fault(token: str, parts: Sequence[str]) -> str | None:
    if token[:7].lower() == "bearer ":
        return "the token begins with the word bearer"
    if len(token) > LONGEST_TOKEN:
        return f"the token has more than {LONGEST_TOKEN} characters"
    if len(parts) != _PARTS:
        return "the token does not have three parts"
    return None


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


@functools.lru_cache(maxsize=32)
def _stated_algorithm(part: str) -> str | None:
    """Read the algorithm out of a header, of which there are only a few; None for one that is not accepted."""
    algorithm = _read_object(part).get("alg")
    return algorithm if isinstance(algorithm, str) and (algorithm == EDDSA or algorithm in _DIGESTS) else None


_JSON_SPACE = " \t\r\n"
_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _read_object(part: str) -> Payload:
    raw = decode_base64url(part)
    if len(raw) > _NEVER_TOO_MANY and raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MOST_VALUES:
        raise ClaimError(f"header or claims have more than {MOST_VALUES} values")
    text = raw.decode("utf-8").strip(_JSON_SPACE)
    value, end = _JSON.raw_decode(text)
    if end != len(text):
        raise ValueError("something follows the object")
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of error for everything unreadable
    return cast("Payload", value)


def _is_chained(claims: Claims) -> bool:
    return claims.issuer.startswith(chain.CHAIN_PREFIX)


def _granted(_key: Ed25519PublicKey, _signature: bytes, _message: bytes) -> bool:
    return True


def _origin_fault(
    envelope: Envelope, claims: Claims, signers: Sequence[VerificationKey], checks: Checks
) -> Rejection | None:
    if _is_chained(claims) and claims.CHAINED:
        if envelope.algorithm == EDDSA:
            return _chain_fault(envelope, claims, signers, checks)
        if claims.trust_chain:
            return Rejection(Fault.CHAIN, "a chain issuer can sign only with an ed25519 key")
    signed_by = checks.alone if len(signers) == 1 else checks.answers
    if any(_fits(envelope, signer, signed_by) for signer in signers):
        return None
    return Rejection(Fault.SIGNATURE, BY_NO_TRUSTED_KEY)


def _fits(envelope: Envelope, key: VerificationKey, signed_by: SignatureCheck) -> bool:
    if envelope.algorithm == EDDSA:
        return is_ed25519(key) and signed_by(key, envelope.signature, envelope.signed)
    digest = _DIGESTS[envelope.algorithm]
    return isinstance(key, RSAPublicKey) and rsa_verifies(key, envelope.signature, envelope.signed, digest)


def _chain_fault(
    envelope: Envelope, claims: Claims, signers: Sequence[VerificationKey], checks: Checks
) -> Rejection | None:
    issued_at = claims.issued_at
    if not (issued_at and claims.expires and claims.issuer_expires and claims.public_key):
        return Rejection(Fault.CHAIN, "a token from a chain issuer needs public_key, iat, exp and issexp")
    try:
        link = chain.read_link(claims.issuer, claims.trust_chain, claims.token_id, issued_at)
    except chain.ChainError as error:
        return Rejection(Fault.CHAIN, str(error))
    organizations = (signer for signer in signers if is_ed25519(signer))
    # All tokens of a chain issuer have the same voucher: it is looked at here, where such answers are remembered.
    if not any(link.issuer_is_genuine(organization, checks.answers) for organization in organizations):
        return Rejection(Fault.CHAIN, "no trusted key has signed for the chain issuer")
    if not link.token_is_assigned(checks.alone):
        return Rejection(Fault.CHAIN, "this token id was not assigned by the chain issuer")
    if not _fits(envelope, link.issuer_key, checks.alone):
        return Rejection(Fault.SIGNATURE, "the signature was not made by the chain issuer named in the token")
    return None


def _time_fault(claims: Claims, now: float) -> Rejection | None:
    if claims.expires is not None and not now < claims.expires:
        return Rejection(Fault.EXPIRED, f"the token expired {_written(claims.expires)}")
    latest = now + CLOCK_LEEWAY
    if claims.not_before is not None and claims.not_before > latest:
        return Rejection(Fault.NOT_YET_VALID, f"the token is valid only from {_written(claims.not_before)}")
    if claims.issued_at is not None and claims.issued_at > latest:
        return Rejection(Fault.FUTURE, f"the token was issued in the future, {_written(claims.issued_at)}")
    return None


def _issuer_time_fault(claims: Claims, now: float) -> Rejection | None:
    if not (claims.trust_chain and _is_chained(claims)):
        return None
    if not claims.issuer_expires:
        return Rejection(Fault.CHAIN, "a token from a chain issuer needs issexp")
    ends = claims.issuer_expires if claims.expires is None else min(claims.expires, claims.issuer_expires)
    if not now <= ends:
        return Rejection(Fault.ISSUER_EXPIRED, f"the chain issuer's own token expired {_written(ends)}")
    return None


def _content_fault(claims: Claims) -> Rejection | None:
    if claims.missing:
        return Rejection(Fault.CLAIMS, f"claim {claims.missing} is missing or empty")
    return None


def _written(moment: int) -> str:
    try:
        return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "not a valid date"
