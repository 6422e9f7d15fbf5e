"""Strict base64url, as compact tokens and nonce signatures use it."""

from __future__ import annotations

import base64
import binascii

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
"""Turns base64url into plain base64, and what base64url does not have into what no base64 has."""


def encode_base64url(raw: bytes) -> str:
    """Write bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding, accepting exactly one spelling of every value.

    Lenient decoders skip foreign characters and ignore left-over bits, so that several texts mean the same bytes and a
    changed token could still verify. Writing the result again and comparing closes all of that at once.

    Args:
        text: the encoded text.

    Returns:
        The bytes it stands for.

    Raises:
        ValueError: when the text is not the one base64url form of its value; the message does not repeat it.
    """
    if not text.isascii():
        raise ValueError("not base64url without padding")
    plain = text.encode("ascii").translate(_TO_STANDARD) + b"=" * (-len(text) % 4)
    raw = binascii.a2b_base64(plain)
    if binascii.b2a_base64(raw, newline=False) != plain:
        raise ValueError("not base64url without padding")
    return raw
