"""CPU and memory that processes take, and whether one stands still."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import psutil


def stands_still(pid: int) -> bool:
    """Tell whether a process was stopped by a signal or a debugger; one that is gone, or unknown, was not."""
    try:
        return pid > 0 and psutil.Process(pid).status() in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}
    except psutil.Error:
        return False


class Processes:
    """CPU and memory of some processes together.

    Args:
        pids: tells the process ids, which may change; those that are gone count as nothing.
    """

    def __init__(self, pids: Callable[[], Sequence[int]] = tuple) -> None:
        """Start measuring CPU from now on."""
        self._pids = pids
        self._known: dict[int, psutil.Process] = {}
        self.cpu_percent()

    @property
    def _processes(self) -> list[psutil.Process]:
        """Those that are there now; what was measured of those that were there before is kept."""
        known, self._known = self._known, {}
        for pid in self._pids():
            with contextlib.suppress(psutil.NoSuchProcess):
                self._known[pid] = known.get(pid) or psutil.Process(pid)
        return list(self._known.values())

    def resident(self) -> int:
        """Bytes of resident memory, all processes together."""
        total = 0
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def cpu_percent(self) -> float:
        """Per cent of one core used since the last call, all processes together."""
        total = 0.0
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.cpu_percent()
        return round(total, 1)
