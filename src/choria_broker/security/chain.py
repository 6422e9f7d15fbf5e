"""Chain of trust: tokens issued by a chain issuer that an organization vouches for.

An organization issuer signs the name and key of a chain issuer, for example a login service. The chain issuer signs
tokens with its own key and puts the organization's signature and one of its own into each of them. There is no
further level.
"""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from choria_broker.security import keys, ksuid

CHAIN_PREFIX = "C-"
"""Start of ``iss`` in a token that a chain issuer made."""

ISSUER_PREFIX = "I-"
"""Start of ``iss`` in the token of a chain issuer; the key of the organization that vouches for it follows."""


class ChainError(ValueError):
    """The claims do not describe a chain; the message says which part is wrong."""


class Link(msgspec.Struct, frozen=True):
    """What a token says about the chain issuer that made it.

    Attributes:
        issuer_id: token id of the chain issuer.
        issuer_key: key of the chain issuer, which the token itself must be signed with.
        vouched: text the organization signed to make it an issuer.
        voucher: the organization's signature.
        assigned: text the chain issuer signed to tie this token to that voucher.
        assignment: the chain issuer's signature.
    """

    issuer_id: str
    issuer_key: Ed25519PublicKey
    vouched: bytes
    voucher: bytes
    assigned: bytes
    assignment: bytes

    def issuer_is_genuine(self, organization: Ed25519PublicKey, signed_by: keys.SignatureCheck) -> bool:
        """Tell whether the organization made this chain issuer one; without this anybody could be one."""
        return signed_by(organization, self.voucher, self.vouched)

    def token_is_assigned(self, signed_by: keys.SignatureCheck) -> bool:
        """Tell whether the chain issuer tied the token to its own voucher."""
        return signed_by(self.issuer_key, self.assignment, self.assigned)


def vouched_text(token_id: str, public_key: str) -> bytes:
    """Write what an organization signs to make the holder of a token a chain issuer.

    Args:
        token_id: ``jti`` of the chain issuer's token.
        public_key: key of the chain issuer as 64 hex digits.
    """
    return f"{token_id}.{public_key.lower()}".encode()


def assigned_text(token_id: str, voucher: str) -> bytes:
    """Write what a chain issuer signs to tie a token it makes to its own voucher.

    Args:
        token_id: ``jti`` of the token it makes.
        voucher: the organization's signature as hex, exactly as it stands in the chain issuer's token.
    """
    return f"{token_id}.{voucher}".encode()


def names_issuer(issuer: str, trust_chain: str, token_id: str, public_key: str) -> bool:
    """Tell whether the claims of a token make its holder a chain issuer, going by the organization key in ``iss``.

    Args:
        issuer: ``iss``.
        trust_chain: ``tcs``.
        token_id: ``jti``.
        public_key: ``public_key``.
    """
    if not (issuer.startswith(ISSUER_PREFIX) and token_id and keys.is_hex_key(public_key)):
        return False
    try:
        organization = keys.ed25519_from_hex(issuer.removeprefix(ISSUER_PREFIX))
        voucher = keys.signature_from_hex(trust_chain)
    except keys.KeyFormError:
        return False
    return keys.ed25519_verifies(organization, voucher, vouched_text(token_id, public_key))


def read_link(issuer: str, trust_chain: str, token_id: str, issued_at: int) -> Link:
    """Read the chain out of the claims of a token.

    Args:
        issuer: ``iss``, starting with ``C-``.
        trust_chain: ``tcs``.
        token_id: ``jti``.
        issued_at: ``iat`` in Unix seconds.

    Raises:
        ChainError: when a part is missing or malformed, or when the token id was not made when the token was.
    """
    try:
        made_at = ksuid.issued_at(token_id)
    except ValueError:
        raise ChainError("the token id is not a KSUID") from None
    if made_at != issued_at:
        raise ChainError("the time in the token id differs from the time of issue")
    issuer_id, issuer_key_text = _two_parts(issuer.removeprefix(CHAIN_PREFIX), "the issuer")
    voucher_text, assignment_text = _two_parts(trust_chain, "the trust chain signature")
    try:
        issuer_key = keys.ed25519_from_hex(issuer_key_text)
        voucher = keys.signature_from_hex(voucher_text)
        assignment = keys.signature_from_hex(assignment_text)
    except keys.KeyFormError as error:
        raise ChainError(f"the chain cannot be read: {error}") from None
    return Link(
        issuer_id=issuer_id,
        issuer_key=issuer_key,
        vouched=vouched_text(issuer_id, issuer_key_text),
        voucher=voucher,
        assigned=assigned_text(token_id, voucher_text),
        assignment=assignment,
    )


def _two_parts(text: str, what: str) -> tuple[str, str]:
    first, dot, second = text.partition(".")
    if not (first and dot and second) or "." in second:
        raise ChainError(f"{what} does not have exactly two parts")
    return first, second
