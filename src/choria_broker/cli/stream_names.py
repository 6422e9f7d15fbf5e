"""Names of streams and subjects as operators give them."""

from __future__ import annotations

import click

from choria_broker.patterns import expression

_NAME = expression(r"[^\s.*>/\\]{1,255}")
_SUBJECT = expression(r"[^\s.]+(?:\.[^\s.]+)*")
_LONGEST_SUBJECT = 1024


def checked(name: str) -> str:
    """Return the name of a stream.

    Raises:
        click.UsageError: it cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} cannot be the name of a stream: it has no blanks, dots, slashes, * and >")
    return name


def checked_subject(subject: str) -> str:
    """Return a subject, with or without wildcards.

    Raises:
        click.UsageError: it cannot be one.
    """
    if not _SUBJECT.fullmatch(subject) or len(subject) > _LONGEST_SUBJECT:
        raise click.UsageError(f"{subject!r} is not a subject")
    return subject
