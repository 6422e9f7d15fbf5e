"""Subjects: which texts are subjects at all, and which subjects a pattern takes in."""

from __future__ import annotations

from choria_broker.patterns import expression

_PART = r"[^\s.>\x00-\x1f\x7f]+"
_SUBJECT = expression(rf"(?:>|{_PART}(?:\.{_PART})*(?:\.>)?)")


def is_subject(text: str) -> bool:
    """Tell whether a text is a subject, with wildcards or without.

    A subject has no empty tokens, no white space, nothing that does not print and ``>`` only as its whole last token.
    """
    return text.isprintable() and _SUBJECT.fullmatch(text) is not None


def is_subscription(text: str) -> bool:
    """Tell whether a text may stand in a list of subscriptions: a subject, or a subject, one space and a queue."""
    subject, space, queue = text.partition(" ")
    return is_subject(subject) and (not space or is_subject(queue))


def is_literal(text: str) -> bool:
    """Tell whether a text can stand in a subject as it is: one clean part, or several with dots between.

    Clean parts are not empty and hold no wildcards, no white space and nothing that does not print.
    """
    return is_subject(text) and "*" not in text and ">" not in text


def covers(pattern: str, subject: str) -> bool:
    """Tell whether a pattern takes in every subject that another one does.

    Args:
        pattern: a subject with wildcards or without.
        subject: a subject with wildcards or without; ``*`` in it is covered only by ``*`` or ``>``.
    """
    wanted = pattern.split(".")
    given = subject.split(".")
    for position, part in enumerate(wanted):
        if position == len(given):
            return False
        if part == ">":
            return True
        if given[position] == ">" or part not in ("*", given[position]):
            return False
    return len(wanted) == len(given)


def overlap(one: str, other: str) -> bool:
    """Tell whether there is a subject that both of two patterns take in."""
    left = one.split(".")
    right = other.split(".")
    for first, second in zip(left, right, strict=False):
        if ">" in (first, second):
            return True
        if "*" not in (first, second) and first != second:
            return False
    return len(left) == len(right)
