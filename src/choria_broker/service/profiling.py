"""A CPU profile of the process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def profiled(path: Path | None) -> Iterator[None]:
    """Profile the main thread into a file that ``python -m pstats`` reads; None is no profile."""
    if path is None:
        yield
        return
    import cProfile  # noqa: PLC0415 - loaded only when somebody profiles

    profiler = cProfile.Profile()
    profiler.enable()
    try:
        yield
    finally:
        profiler.disable()
        profiler.dump_stats(path)
