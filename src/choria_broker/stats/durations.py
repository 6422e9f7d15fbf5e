"""Durations as the engine writes them, such as ``1m2.5s`` or ``372µs``."""

from __future__ import annotations

import re

_MILLISECONDS = {
    "ns": 1e-6,
    "us": 1e-3,
    "µs": 1e-3,  # The micro sign.
    "μs": 1e-3,  # The Greek letter, which is another character.
    "ms": 1.0,
    "s": 1e3,
    "m": 60e3,
    "h": 3600e3,
}
_PART = r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<unit>ns|us|µs|μs|ms|s|m|h)"
_ONE = re.compile(_PART)
_WHOLE = re.compile(r"(?P<sign>[+-]?)(?P<parts>(?:" + re.sub(r"\?P<\w+>", "?:", _PART) + r")+)")
_LONGEST = 200


def milliseconds(text: str) -> float | None:
    """Read a duration in Go's notation.

    Args:
        text: one number or several with a unit each, with or without a sign; ``0`` needs no unit.

    Returns:
        Milliseconds, or None for a text that is no duration.
    """
    if text.lstrip("+-") == "0" and len(text) <= len("+0"):
        return 0.0
    match = _WHOLE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    total = sum(float(part["number"]) * _MILLISECONDS[part["unit"]] for part in _ONE.finditer(match["parts"]))
    return -total if match["sign"] == "-" else total
