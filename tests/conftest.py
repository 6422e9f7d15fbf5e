from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from choria_broker.access import ways
from choria_broker.host.facts import HostLimits
from choria_broker.log.structured import ROOT
from support.testbed import Authority

# The time limit of each test bounds a run; one slow example on a busy machine is no fault.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

if os.environ.get("WAYS") == "off":  # Everything has to pass without what makes connections cheaper, too.
    ways.STANDARD = ways.NONE


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA of the network under test."""
    return Authority(tmp_path)


@pytest.fixture
def log_as_before() -> Iterator[logging.Logger]:
    """Let a test send the log of this process elsewhere, and give it the broker's own logger."""
    loggers = [logging.getLogger(ROOT), logging.getLogger()]
    before = [(each, each.handlers[:], each.propagate, each.level) for each in loggers]
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    shown = warnings.showwarning
    yield loggers[0]
    logging.captureWarnings(capture=False)
    warnings.showwarning = shown
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    for logger, handlers, propagate, level in before:
        for handler in logger.handlers:
            if handler not in handlers:
                handler.close()
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def _a_host_without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``check`` say the same on every machine that runs the tests."""
    monkeypatch.setattr("choria_broker.cli.check.read_limits", HostLimits)
