"""Writing text that others chose, such as a peer, a token or an answer of a socket, to a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    """Escape everything unprintable, ends of lines too, so that a terminal takes nothing in the text for a command.

    Args:
        text: anything.

    Returns:
        The text on one line; what was printable is unchanged.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )
