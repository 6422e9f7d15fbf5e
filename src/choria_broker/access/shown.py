"""Writing what a peer says of itself into sentences for the operator."""

from __future__ import annotations

_LONGEST = 128


def shown(text: str) -> str:
    """Quote a text that a peer chose, so that it can neither fill a log nor break out of its line.

    Args:
        text: anything.

    Returns:
        The text in quotes, cut to 128 characters, with everything unprintable escaped.
    """
    return ascii(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!a}..."
