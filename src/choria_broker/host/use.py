"""What processes of the broker use of what their host gives them."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Sequence
from pathlib import Path

from choria_broker.host.facts import HostUse
from choria_broker.host.processes import used_by

_CGROUPS = Path("/sys/fs/cgroup")


def read_use(broker: int, engine: int, cgroups: Path = _CGROUPS, proc: Path = Path("/proc")) -> HostUse:
    """Find out what is used; what cannot be found out is not known.

    Args:
        broker: process id of the broker.
        engine: process id of its engine.
        cgroups: where the kernel shows limits of groups of processes.
        proc: where it shows processes.
    """
    descriptors, limit = 0, None
    with contextlib.suppress(OSError, ValueError):
        soft, _ = resource.prlimit(engine, resource.RLIMIT_NOFILE)
        descriptors = len(os.listdir(proc / str(engine) / "fd"))  # noqa: PTH208 - thousands of names, and no paths
        limit = soft if soft != resource.RLIM_INFINITY else None
    memory_limit = _memory_limit(_own_group(proc / "self/cgroup"), cgroups)
    return HostUse(descriptors, limit, memory_limit, used_by(broker, proc), used_by(engine, proc))


def _own_group(file: Path) -> str:
    with contextlib.suppress(OSError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("0::"):
                return line.removeprefix("0::").strip("/")
    return ""


def _memory_limit(group: str, cgroups: Path) -> int:
    """Return the smallest limit of memory from the own group up, at most what the machine has."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    parts: Sequence[str] = group.split("/") if group else ()
    for count in range(len(parts) + 1):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int((cgroups.joinpath(*parts[:count]) / "memory.max").read_text(encoding="ascii")))
    return min(limits)
