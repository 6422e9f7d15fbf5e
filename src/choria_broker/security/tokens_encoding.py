"""Strict base64url, as compact tokens and nonce signatures use it."""

from __future__ import annotations

import base64


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
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != text:
        raise ValueError("not base64url without padding")
    return raw
