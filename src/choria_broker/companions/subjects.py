"""To which subjects a companion publishes that came with a message, or were made of something in one."""

from __future__ import annotations

from collections.abc import Sequence

from choria_broker.access.subjects import is_literal

LONGEST = 1000
"""Bytes of the longest subject. An engine closes the connection of who sends a control line of more than 4,096."""

_BAD_AMONG_MANY = ("*", ">", "..", " .", ". ", " $", "  ")
"""What stands in no subject, nor where two of them meet."""


def may_publish(subject: str) -> bool:
    """Tell whether a companion publishes to a subject that somebody else chose.

    Not where a token is empty or holds white space, a wildcard or something that does not print: that could be a
    command of its own. Not to what begins with ``$`` either, which belongs to the engine.
    """
    return not subject.startswith("$") and may_stand_in(subject)


def may_stand_in(text: str) -> bool:
    """Tell whether a text that somebody else chose may stand inside of a subject, as one token of it or several."""
    return is_literal(text) and len(text.encode()) <= LONGEST


def may_publish_all(subjects: Sequence[str]) -> bool:
    """Tell whether a companion publishes to each of many subjects; quicker than to ask about one after the other.

    Args:
        subjects: one or more.
    """
    together = " ".join(subjects)
    if not (together.isascii() and together.isprintable()) or together.count(" ") != len(subjects) - 1:
        return all(map(may_publish, subjects))
    within = f" {together} "
    return not any(bad in within for bad in _BAD_AMONG_MANY) and max(map(len, subjects)) <= LONGEST
