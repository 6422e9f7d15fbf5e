from __future__ import annotations

from collections.abc import Generator

import coverage
import hypothesis
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Trace nothing while a test searches or measures time.

    What property tests reach changes from run to run, so no floor can stand on it; and tracing makes them all twice as
    slow.
    """
    free = item.get_closest_marker("untraced") or hypothesis.is_hypothesis_test(getattr(item, "obj", None))
    tracer = coverage.Coverage.current() if free else None
    if tracer:
        tracer.stop()
    try:
        return (yield)
    finally:
        if tracer:
            tracer.start()
