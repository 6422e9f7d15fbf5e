"""A clock and a log for tests of the audit trail."""

from __future__ import annotations

import logging
from typing import Any


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says beside its message."""
    return record.__dict__
