"""Public keys: the forms they are configured in, and checking signatures with them."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from choria_broker.patterns import expression
from choria_broker.security.certificates import load
from choria_broker.security.malformed import MALFORMED

if TYPE_CHECKING:
    from typing_extensions import TypeIs

VerificationKey = Ed25519PublicKey | RSAPublicKey
"""A key that signatures are checked with."""

SignatureCheck = Callable[[Ed25519PublicKey, bytes, bytes], bool]
"""Tells whether a signature over a message was made with the private half of a key: key, signature, message.

Its answer depends on nothing else, as that of :func:`ed25519_verifies` does; it may only come by the answer faster.
"""

SIGNATURE_BYTES = 64
"""Length of an ed25519 signature."""

SMALLEST_RSA_BITS = 1024
"""Length an RSA key must have at least."""

_HEX_KEY = expression(r"[0-9a-fA-F]{64}")
_HEX_SIGNATURE = expression(r"[0-9a-fA-F]{128}")
_PEM_BLOCK = expression(rb"-----BEGIN (?P<label>[A-Z0-9 ]+)-----.*?-----END (?P=label)-----", re.DOTALL)
_CERTIFICATE = b"-----BEGIN CERTIFICATE"
_PUBLIC_KEY = b"-----BEGIN PUBLIC KEY"


_ED25519 = type(Ed25519PublicKey.from_public_bytes(bytes(32)))


class KeyFormError(ValueError):
    """A text or file is not a usable public key; the message says why and never repeats the content."""


def is_ed25519(key: object) -> TypeIs[Ed25519PublicKey]:
    """Tell whether a key is an ed25519 one; asking the library's abstract class takes longer than all else here."""
    return type(key) is _ED25519 or isinstance(key, Ed25519PublicKey)


def is_hex_key(text: str) -> bool:
    """Tell whether a text is an ed25519 public key written as 64 hex digits, in either case."""
    return _HEX_KEY.fullmatch(text) is not None


def ed25519_from_hex(text: str) -> Ed25519PublicKey:
    """Read an ed25519 public key from exactly 64 hex digits.

    Raises:
        KeyFormError: when the text is anything else.
    """
    if not is_hex_key(text):
        raise KeyFormError("an ed25519 public key must be exactly 64 hex digits")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))


def signature_from_hex(text: str) -> bytes:
    """Read an ed25519 signature from exactly 128 hex digits.

    Raises:
        KeyFormError: when the text is anything else.
    """
    if not _HEX_SIGNATURE.fullmatch(text):
        raise KeyFormError("an ed25519 signature must be exactly 128 hex digits")
    return bytes.fromhex(text)


def key_from_file(content: bytes) -> VerificationKey:
    """Read the key out of the content of a signer file.

    A certificate gives the key inside it: its dates, its issuer and its usage do not matter, because the operator
    trusts the key by naming the file. White space around the content is tolerated.

    Args:
        content: a PEM certificate, a PEM public key, or 64 hex digits of an ed25519 key.

    Raises:
        KeyFormError: when there is no RSA or ed25519 public key in it.
    """
    stripped = content.strip()
    if stripped.startswith((_CERTIFICATE, _PUBLIC_KEY)):
        return _key_from_pem(stripped)
    try:
        return ed25519_from_hex(stripped.decode("ascii"))
    except ValueError:
        raise KeyFormError(
            "the file holds neither a PEM certificate, nor a PEM public key, nor 64 hex digits of an ed25519 key"
        ) from None


def _key_from_pem(content: bytes) -> VerificationKey:
    block = _PEM_BLOCK.match(content)
    if block is None:
        raise KeyFormError("the PEM block is incomplete")
    try:
        if content.startswith(_CERTIFICATE):
            key: object = load(block[0]).public_key()
        else:
            key = load_pem_public_key(block[0])
    except MALFORMED:
        raise KeyFormError("the PEM block cannot be read") from None
    if is_ed25519(key):
        return key
    if not isinstance(key, RSAPublicKey):
        raise KeyFormError("the key is neither an RSA nor an ed25519 key")
    if key.key_size < SMALLEST_RSA_BITS:
        raise KeyFormError(f"the RSA key has fewer than {SMALLEST_RSA_BITS} bits")
    return key


def key_id(key: VerificationKey) -> str:
    """Name a key: 64 hex digits, of an ed25519 key the key itself, of an RSA key the SHA-256 of its DER form."""
    if is_ed25519(key):
        return key.public_bytes_raw().hex()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def ed25519_verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Tell whether an ed25519 signature over a message was made with the private half of a key."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    opens, bad = _libsodium()
    try:
        opens(signature + message, key.public_bytes_raw())
    except bad:
        return False
    return True


@functools.cache
def _libsodium() -> tuple[Callable[[bytes, bytes], bytes], type[Exception]]:
    """Return what opens signed messages, and the exception of one that was not signed so.

    It takes little more than half the time of OpenSSL, and 5 ms to load, which a start does without: most are
    checked by the engine.
    """
    from nacl.bindings import crypto_sign_open  # noqa: PLC0415 - see above
    from nacl.exceptions import BadSignatureError  # noqa: PLC0415 - see above

    return crypto_sign_open, BadSignatureError


def rsa_verifies(key: RSAPublicKey, signature: bytes, message: bytes, digest: hashes.HashAlgorithm) -> bool:
    """Tell whether an RSA PKCS #1 v1.5 signature over a message was made with the private half of a key."""
    try:
        key.verify(signature, message, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True
