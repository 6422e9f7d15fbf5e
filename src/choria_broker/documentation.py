"""Where the documentation is, as the build was told: a directory of this machine, or the address of a site."""

from __future__ import annotations

import enum

from choria_broker.build_info import build


class HelpKind(enum.StrEnum):
    """What has a place of its own on the page about trouble."""

    FINDING = "finding"
    """A code of findings."""
    RULE = "rule"
    """A rule of decisions."""
    HEALTH = "health"
    """A kind of reason of health."""
    LOG = "log"
    """A line of the log."""


def help_for(kind: HelpKind, name: str, *, base: str | None = None) -> str:
    """Return where something is explained.

    Args:
        kind: what it is.
        name: its name.
        base: where the documentation is; what the build was told unless given.
    """
    where = build().documentation if base is None else base
    ending = "html" if "://" in where else "md"
    return f"{where.rstrip('/')}/reference/troubleshooting.{ending}#{kind}-{name}"
