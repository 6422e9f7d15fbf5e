"""The instance document: which broker this is and what it weighs."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Sequence
from pathlib import Path

import psutil

from choria_broker import __version__


class Processes:
    """CPU and memory of the processes that make up the broker.

    Args:
        pids: process ids; those that are gone count as nothing.
    """

    def __init__(self, pids: Sequence[int]) -> None:
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


def document(
    processes: Processes, *, source: Path, identity: str, nats: str, max_connections: int
) -> dict[str, object]:
    """Write the instance document; keys and their order are what readers of the original program's page expect.

    Args:
        processes: what to weigh.
        source: configuration file.
        identity: name of this broker.
        nats: version of the nats-server library in the engine.
        max_connections: most client connections at once.
    """
    return {
        "build": {
            "version": __version__,
            "sha": "unknown",
            "build_date": "unknown",
            "license": "Apache-2.0",
            "tls": True,
            "secure": True,
            "go": f"python{platform.python_version()}",
            "max_broker_clients": max_connections,
            "nats": nats,
        },
        "system": {
            "rss": processes.resident(),
            "cpu_percent": processes.cpu_percent(),
            "cpu_cores": psutil.cpu_count() or 1,
        },
        "config_file": str(source),
        "identity": identity,
    }
