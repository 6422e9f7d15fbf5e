"""CPU and memory that processes take, and whether one is there, and whether it stands still."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from choria_broker.host.facts import ProcessUse

_PROC = Path("/proc")
_STATE, _USER, _SYSTEM = 0, 11, 12
"""Places in the kernel's line about a process, counted from behind its name, in which anything may stand."""
_STANDING_STILL = frozenset({"T", "t"})
"""Stopped by a signal, and by a debugger."""


def exists(pid: int) -> bool:
    """Tell whether there is a process, of whomever it is."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def stands_still(pid: int) -> bool:
    """Tell whether a process was stopped by a signal or a debugger; one that is gone, or unknown, was not."""
    try:
        return pid > 0 and _told(pid, _PROC)[_STATE] in _STANDING_STILL
    except OSError:
        return False


def used_by(pid: int, proc: Path = _PROC) -> ProcessUse:
    """Find out what a process uses; of one that is gone, or unknown, nothing is known.

    Args:
        pid: process id.
        proc: where the kernel shows processes.
    """
    with contextlib.suppress(OSError):
        told = _told(pid, proc)
        pages = int((proc / str(pid) / "statm").read_text(encoding="ascii").split()[1])
        ticks = int(told[_USER]) + int(told[_SYSTEM])
        return ProcessUse(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))
    return ProcessUse()


def _told(pid: int, proc: Path) -> list[str]:
    line = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return line.rpartition(")")[2].split()


class Processes:
    """CPU and memory of some processes together.

    Args:
        pids: tells the process ids, which may change; those that are gone count as nothing.
    """

    def __init__(self, pids: Callable[[], Sequence[int]] = tuple) -> None:
        """Start measuring CPU from now on."""
        self._pids = pids
        self._before: dict[int, tuple[float, float]] = {}
        self.cpu_percent()

    def resident(self) -> int:
        """Bytes of resident memory, all processes together."""
        return sum(used_by(pid).memory for pid in self._pids())

    def cpu_percent(self) -> float:
        """Per cent of one core used since the last call, all processes together."""
        total, before, self._before = 0.0, self._before, {}
        for pid in self._pids():
            cpu, now = used_by(pid).cpu, time.monotonic()
            if cpu is None:
                continue
            self._before[pid] = cpu, now
            used, since = before.get(pid, (cpu, 0.0))
            total += max(cpu - used, 0.0) / (now - since) if now > since else 0.0
        return round(total * 100, 1)
