"""Proof that whoever presents a token also holds the private key that belongs to it."""

from __future__ import annotations

from choria_broker.security import keys
from choria_broker.security.tokens_encoding import decode_base64url


def proof_fault(public_key: str, nonce: str, signature: str) -> str | None:
    """Say what is wrong with a nonce signature.

    The signature is over the text of the nonce exactly as the server sent it, not over what that text encodes.

    Args:
        public_key: ed25519 key of the token holder, 64 hex digits.
        nonce: challenge the server sent, empty when it sent none.
        signature: base64url of the 64 bytes the client answered with, empty when it sent none.

    Returns:
        The reason the proof fails, without any secret in it, or None when the proof holds.
    """
    if not signature:
        return "no nonce signature was sent"
    if not nonce or not nonce.isascii():
        return "the server sent no nonce that could be signed"
    try:
        key = keys.ed25519_from_hex(public_key)
    except keys.KeyFormError:
        return "the public key in the token is not 64 hex digits of an ed25519 key"
    try:
        raw = decode_base64url(signature)
    except ValueError:
        return "the nonce signature is not base64url without padding"
    if not keys.ed25519_verifies(key, raw, nonce.encode("ascii")):
        return "the nonce signature was not made with the private key that belongs to the token"
    return None
