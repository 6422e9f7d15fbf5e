"""What a key process does with a request: pure; all it imports is the library that signs and the reader of PEM.

A request is one message: its number (8 bytes, big endian), until when somebody waits for the signature (8 bytes, Unix
milliseconds), which key (32 bytes, SHA-256 of the public key), how to sign (1 byte), the hash (1 byte), and what is to
be signed: the hash's value, of Ed25519 the message. The answer is the number, 0 and the signature, or 1 and why there
is none. Whoever answers so may be a key process; a token that speaks PKCS #11 has the same mechanisms.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from choria_broker.security import pem

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

PKCS1, PSS, ECDSA, ED25519 = 1, 2, 3, 4
"""How to sign."""

HASHES: Mapping[int, hashes.HashAlgorithm] = {
    1: hashes.SHA1(),  # noqa: S303 - TLS 1.2 lets a peer ask for nothing better; the engine decides
    2: hashes.SHA256(),
    3: hashes.SHA384(),
    4: hashes.SHA512(),
}
"""Hashes of TLS by their number; 0 is none."""

LONGEST = 4096
"""More than any request takes."""

_NUMBER, _UNTIL, _KEY, _HEAD = 8, 16, 48, 50
_GOOD, _REFUSED = b"\x00", b"\x01"


class RequestError(Exception):
    """Nothing can be signed; the message is a few words."""


def load_key(content: bytes) -> tuple[bytes, PrivateKey]:
    """Read a private key, and return its name and itself.

    Args:
        content: of a PEM file; the first private key counts, as in the engine.

    Raises:
        RequestError: there is none that TLS uses.
    """
    try:
        # Whether the numbers fit was looked at with the configuration, and the engine tries each key.
        found = pem.private_key(content)
        key = load_der_private_key(found.content if found else b"", None, unsafe_skip_rsa_key_validation=True)
    except Exception as error:  # noqa: BLE001 - the library has many
        raise RequestError(f"no usable private key: {type(error).__name__}") from None
    if not isinstance(key, PrivateKey):
        raise RequestError("a private key of a kind that TLS does not use")
    return key_name(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)), key


def key_name(public: bytes) -> bytes:
    """Return the name of a key.

    Args:
        public: its public key, as it stands in certificates.
    """
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public)
    return digest.finalize()


def answer(keys: Mapping[bytes, PrivateKey], request: bytes, now: float) -> bytes:
    """Answer one request.

    Args:
        keys: by name.
        request: the message.
        now: Unix seconds.

    Returns:
        The answer; empty when nobody waits for it any more.
    """
    if int.from_bytes(request[_NUMBER:_UNTIL], "big") <= now * 1000:
        return b""
    number = request[:_NUMBER]
    try:
        return number + _GOOD + _signature(keys, request)
    except RequestError as error:
        return number + _REFUSED + str(error).encode()
    except Exception as error:  # noqa: BLE001 - one request is to fail, and not the process
        return number + _REFUSED + type(error).__name__.encode()


def _signature(keys: Mapping[bytes, PrivateKey], request: bytes) -> bytes:
    if len(request) < _HEAD:
        raise RequestError("malformed")
    key, how, digest = keys.get(request[_UNTIL:_KEY]), request[_KEY], request[_HEAD:]
    if key is None:
        raise RequestError("unknown key")
    hashed = HASHES.get(request[_KEY + 1])
    if isinstance(key, ed25519.Ed25519PrivateKey):
        if how != ED25519:
            raise RequestError("not for this key")
        return key.sign(digest)
    if hashed is None:
        raise RequestError("unknown hash")
    given = utils.Prehashed(hashed)
    if isinstance(key, rsa.RSAPrivateKey) and how == PKCS1:
        return key.sign(digest, padding.PKCS1v15(), given)
    if isinstance(key, rsa.RSAPrivateKey) and how == PSS:
        return key.sign(digest, padding.PSS(padding.MGF1(hashed), hashed.digest_size), given)
    if isinstance(key, ec.EllipticCurvePrivateKey) and how == ECDSA:
        return key.sign(digest, ec.ECDSA(given))
    raise RequestError("not for this key")
