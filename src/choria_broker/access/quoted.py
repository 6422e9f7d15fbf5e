"""Writing what a peer says of itself into sentences for the operator."""

from __future__ import annotations

from choria_broker.patterns import expression
from choria_broker.wording import without_credentials

_LONGEST = 128
_PARTS = expression(r"\s*[\w-]{8,}\.[\w-]{8,}\.[\w-]*\s*")

TOKEN_LABEL = "token"  # noqa: S105 - it is shown instead of one
"""What stands where a peer sent a token in place of its name."""


def name_sent(text: str) -> str:
    """Return the user name a peer sent, or a label when it is in truth a token, which must not be seen.

    Args:
        text: the user of CONNECT.
    """
    return TOKEN_LABEL if _PARTS.fullmatch(text) or without_credentials(text) != text else text


def quoted(text: str) -> str:
    """Quote a text that a peer chose, so that it can neither fill a log nor break out of its line.

    Args:
        text: anything.

    Returns:
        The text in quotes, cut to 128 characters, with everything unprintable escaped, and without credentials.
    """
    text = without_credentials(text[: 8 * _LONGEST], TOKEN_LABEL)
    return ascii(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!a}..."


def claimed(name: str, language: str, version: str) -> str:
    """Write what a program says of itself in CONNECT; nobody has checked any of it.

    Returns:
        The parts that there are, each quoted; empty when there is none.
    """
    told = f"name {quoted(name)}" if name else ""
    if language:
        told = f"{told}, language {quoted(language)}" if told else f"language {quoted(language)}"
    if version:
        told = f"{told}, version {quoted(version)}" if told else f"version {quoted(version)}"
    return told
