"""Private keys: the forms their files have, and signing tokens with them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from choria_broker.patterns import expression
from choria_broker.security.keys import SMALLEST_RSA_BITS, KeyFormError
from choria_broker.security.tokens_encoding import encode_base64url

SigningKey = Ed25519PrivateKey | RSAPrivateKey
"""A key that tokens are signed with."""

SEED_BYTES = 32
"""Length of an ed25519 seed."""

_HEX_SEED = expression(r"[0-9a-fA-F]{64}")
_PEM_LABELS = (b"-----BEGIN RSA PRIVATE KEY-----", b"-----BEGIN PRIVATE KEY-----")
_ENCRYPTED = b"ENCRYPTED"


def signing_key_from_file(content: bytes) -> SigningKey:
    """Read a private key out of the content of a key file; white space around it is tolerated.

    Args:
        content: 64 hex digits of an ed25519 seed, or a PEM private key of the RSA or ed25519 kind.

    Raises:
        KeyFormError: when there is no such key in it.
    """
    stripped = content.strip()
    text = stripped.decode("ascii", errors="replace")
    if _HEX_SEED.fullmatch(text):
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    if _ENCRYPTED in stripped:
        raise KeyFormError("the private key is encrypted; only unencrypted keys can be used")
    if not stripped.startswith(_PEM_LABELS):
        raise KeyFormError("it holds neither 64 hex digits of an ed25519 seed nor a PEM private key")
    try:
        key = load_pem_private_key(stripped, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFormError("the PEM block cannot be read") from None
    if isinstance(key, RSAPrivateKey) and key.key_size < SMALLEST_RSA_BITS:
        raise KeyFormError(f"the RSA key has fewer than {SMALLEST_RSA_BITS} bits")
    if not isinstance(key, Ed25519PrivateKey | RSAPrivateKey):
        raise KeyFormError("the private key is neither an RSA nor an ed25519 key")
    return key


def public_hex(key: Ed25519PrivateKey) -> str:
    """Write the public half of a key as 64 hex digits."""
    return key.public_key().public_bytes_raw().hex()


def signature(key: SigningKey, message: bytes, digest: hashes.HashAlgorithm | None = None) -> bytes:
    """Sign a message.

    Args:
        key: the key.
        message: what to sign.
        digest: digest of an RSA signature, SHA-256 unless given; ed25519 has its own.
    """
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, padding.PKCS1v15(), digest or hashes.SHA256())


def sign_token(payload: Mapping[str, object], key: SigningKey) -> str:
    """Write claims as a token signed with EdDSA or RS256, whichever the key can do.

    Raises:
        ValueError: when a text in the claims has no UTF-8 form, or a number is not finite.
    """
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "RS256"
    signed = f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(payload)}"
    return f"{signed}.{encode_base64url(signature(key, signed.encode('ascii')))}"


def _part(value: Mapping[str, object]) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return encode_base64url(text.encode("utf-8"))
