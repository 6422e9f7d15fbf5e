"""Writing what a peer says of itself into sentences for the operator."""

from __future__ import annotations

import re

_LONGEST = 128
_TOKEN = re.compile(r"\s*[\w-]{8,}\.[\w-]{8,}\.[\w-]*\s*")

TOKEN_LABEL = "token"  # noqa: S105 - it is shown instead of one
"""What stands where a peer sent a token in place of its name."""


def name_sent(text: str) -> str:
    """Return the user name a peer sent, or a label when it is in truth a token, which must not be seen.

    Args:
        text: the user of CONNECT.
    """
    return TOKEN_LABEL if _TOKEN.fullmatch(text) else text


def shown(text: str) -> str:
    """Quote a text that a peer chose, so that it can neither fill a log nor break out of its line.

    Args:
        text: anything.

    Returns:
        The text in quotes, cut to 128 characters, with everything unprintable escaped.
    """
    return ascii(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!a}..."
