"""Taking values out of the engine's pages.

A value that is missing, null or of another type than expected counts as empty or 0, so that an engine of another
version never ends the polling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def mapping(value: object) -> Mapping[str, object]:
    """Return an object of a page."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Iterable[object]:
    """Return a list of a page."""
    return value if isinstance(value, list) else ()


def number(page: Mapping[str, object], key: str) -> int:
    """Return a number of an object."""
    value = page.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def text(page: Mapping[str, object], key: str) -> str:
    """Return a text of an object."""
    value = page.get(key)
    return value if isinstance(value, str) else ""
