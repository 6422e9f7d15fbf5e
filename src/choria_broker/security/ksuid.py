"""KSUIDs: the sortable identifiers that token libraries put into ``jti``."""

from __future__ import annotations

EPOCH = 1_400_000_000
"""Unix seconds at which the time inside a KSUID is zero."""

_LENGTH = 27
_DIGITS = {digit: value for value, digit in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")}
_RANDOM_BITS = 128
_LIMIT = 1 << 160


def issued_at(text: str) -> int:
    """Read the time out of a KSUID.

    Args:
        text: 27 base-62 digits that stand for 20 bytes.

    Returns:
        The moment the identifier was made, in Unix seconds.

    Raises:
        ValueError: when the text is not a KSUID.
    """
    if len(text) != _LENGTH:
        raise ValueError("a KSUID has 27 characters")
    value = 0
    for character in text:
        digit = _DIGITS.get(character)
        if digit is None:
            raise ValueError("a KSUID has only the characters 0-9, A-Z and a-z")
        value = value * 62 + digit
    if value >= _LIMIT:
        raise ValueError("a KSUID stands for at most 20 bytes")
    return (value >> _RANDOM_BITS) + EPOCH
