from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from choria_broker.audit.throttle import Bounds
from choria_broker.audit.trail import Audit
from support.trail import Clock, Lines


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audit(clock: Clock) -> Audit:
    return Audit(recent=3, bounds=Bounds(window=60.0, in_full=2), clock=clock)


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    logger, handler = logging.getLogger("choria_broker.access"), Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(before)
