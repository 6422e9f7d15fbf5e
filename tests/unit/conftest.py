from __future__ import annotations

import importlib
import os
from collections.abc import Generator

import coverage
import hypothesis
import pytest
from tools.pure_coverage import pure_modules

_MEASURE = coverage.Coverage.current()
"""What ``coverage run`` began in this process, if it did."""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Trace what importing the pure ring runs, and then nothing but tests: all that pytest does takes twice as long so.

    What hands the tests to other processes is not traced at all, and no program is that a test starts.
    """
    if _MEASURE:
        if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
            os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
            for module in pure_modules():
                if not module.endswith("__main__"):
                    importlib.import_module(module)
        _MEASURE.stop()
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Trace a test, unless it searches or measures time.

    What property tests reach changes from run to run, so no floor can stand on it.
    """
    free = item.get_closest_marker("untraced") or hypothesis.is_hypothesis_test(getattr(item, "obj", None))
    measure = None if free else _MEASURE
    if measure:
        measure.start()
    try:
        return (yield)
    finally:
        if measure:
            measure.stop()
