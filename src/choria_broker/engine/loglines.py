"""Reading the engine's log lines: ``[pid] [LVL] text``."""

from __future__ import annotations

import dataclasses
import logging
import re

_LINE = re.compile(r"^\[\d+\] \[(?P<level>[A-Z]{3})\] (?P<text>.*)$", re.DOTALL)
_LEVELS = {
    "TRC": logging.DEBUG,
    "DBG": logging.DEBUG,
    "INF": logging.INFO,
    "WRN": logging.WARNING,
    "ERR": logging.ERROR,
    "FTL": logging.CRITICAL,
}


@dataclasses.dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the engine: a level of the standard ``logging`` module and the text without its prefix."""

    level: int
    text: str


def parse(line: str) -> LogLine:
    """Read one line; what has no prefix, such as a Go panic, is an error, for the engine only fails that way."""
    match = _LINE.match(line)
    if match is None:
        return LogLine(logging.ERROR, line)
    return LogLine(_LEVELS.get(match["level"], logging.INFO), match["text"])
