"""KSUIDs: the sortable identifiers that token libraries put into ``jti``."""

from __future__ import annotations

EPOCH = 1_400_000_000
"""Unix seconds at which the time inside a KSUID is zero."""

RANDOM_BYTES = 16
"""Random bytes in a KSUID."""

_LENGTH = 27
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = {digit: value for value, digit in enumerate(_ALPHABET)}
_RANDOM_BITS = 8 * RANDOM_BYTES
_LIMIT = 1 << 160


def build(moment: int, random: bytes) -> str:
    """Make a KSUID.

    Args:
        moment: the moment it is made, in Unix seconds, from 2014 to 2150.
        random: 16 random bytes.

    Returns:
        27 base-62 digits.

    Raises:
        ValueError: when the moment is outside what a KSUID can say, or the random bytes are not 16.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a KSUID has {RANDOM_BYTES} random bytes")
    value = (moment - EPOCH << _RANDOM_BITS) + int.from_bytes(random, "big")
    if not 0 <= value < _LIMIT:
        raise ValueError("a KSUID can only hold times from 2014 to 2150")
    digits = ""
    for _ in range(_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


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
        value = value * len(_ALPHABET) + digit
    if value >= _LIMIT:
        raise ValueError("a KSUID holds at most 20 bytes")
    return (value >> _RANDOM_BITS) + EPOCH
