"""What of this process's environment is for its children."""

from __future__ import annotations

from collections.abc import Mapping

_BETWEEN_US = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "FDSTORE")
"""How the names of variables begin that are between the service manager and this process alone."""


def for_children(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what lets a child speak to the service manager as if it were this process.

    Args:
        environ: variables of this process.
    """
    return {name: value for name, value in environ.items() if not name.startswith(_BETWEEN_US)}
