"""Proof that whoever presents a token also holds the private key that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping

from choria_broker.security import keys
from choria_broker.security.tokens_encoding import decode_base64url

UNSIGNED = "no nonce signature was sent"
UNREADABLE = "the nonce signature is not base64url without padding"
_WRONG = "the nonce signature was not made with the private key that belongs to the token"
REMEDIES: Mapping[str, str] = {
    UNSIGNED: "Use a program that signs with the seed file that belongs to the token, such as a Choria client with "
    "that token and seed configured.",
    UNREADABLE: "The key may be the right one: have the program write its signature in base64url, without = at the "
    "end.",
}
"""What to do about faults that another seed file does not help against."""


def proof_fault(public_key: str, nonce: str, signature: str, *, left_open: bool = False) -> str | None:
    """Say what is wrong with a nonce signature.

    The signature is over the text of the nonce exactly as the server sent it, not over what that text encodes.

    Args:
        public_key: ed25519 key of the token holder, 64 hex digits.
        nonce: challenge the server sent, empty when it sent none.
        signature: base64url of the 64 bytes the client answered with, empty when it sent none.
        left_open: somebody else checks the signature itself.

    Returns:
        The reason the proof fails, without any secret in it, or None when the proof holds.
    """
    if not signature:
        return UNSIGNED
    if not nonce or not nonce.isascii():
        return "the broker sent no nonce to sign"
    if not keys.is_hex_key(public_key):
        return "the public key in the token is not 64 hex digits of an ed25519 key"
    try:
        raw = decode_base64url(signature)
    except ValueError:
        return UNREADABLE
    holds = (
        len(raw) == keys.SIGNATURE_BYTES
        if left_open
        else keys.ed25519_verifies(keys.ed25519_from_hex(public_key), raw, nonce.encode("ascii"))
    )
    return None if holds else _WRONG
