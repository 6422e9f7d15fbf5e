"""Time from the start of the process until the server is ready."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from bench.results import Line, alternate
from bench.servers import BARE, Server
from bench.workbench import Workbench


def measure(bench: Workbench) -> list[Line]:
    """Measure the broker until it tells the service manager, the bare server until its port accepts."""

    def seconds(run: Callable[[], AbstractContextManager[Server]]) -> Callable[[], float]:
        def sample() -> float:
            with run() as server:
                return server.seconds

        return sample

    pairs = alternate(bench.scale.turns, seconds(bench.site.broker), seconds(bench.site.bare))
    return [pairs.row("Start until ready, everything in the page cache", BARE, _written, aim="under 1 s")]


def _written(seconds: float) -> str:
    return f"{seconds:.2f} s"
