"""CPU and memory that processes take, and whether one stands still."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

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
        pids: process ids; those that are gone count as nothing.
    """

    def __init__(self, pids: Sequence[int] = ()) -> None:
        """Start measuring CPU from now on."""
        self._processes = []
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._processes.append(psutil.Process(pid))
        self.cpu_percent()

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
