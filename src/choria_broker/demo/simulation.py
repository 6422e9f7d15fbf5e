"""Starts the simulated fleet beside a broker, and ends it with that."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from choria_broker.demo.network import Demo

_END = 5.0
"""Seconds that the fleet has to end by itself."""


@contextlib.contextmanager
def simulated(demo: Demo, port: int) -> Iterator[int]:
    """Run the fleet of a demonstration as long as the context lasts, and yield its process id.

    It ends when its standard input does. Whatever the broker becomes by an upgrade keeps the other end open.

    Args:
        demo: the demonstration.
        port: client port of its broker.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603 - this program
        [sys.executable, "-P", "-m", "choria_broker.demo.fleet", str(demo.folder), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    os.set_inheritable(process.stdin.fileno(), True)  # noqa: FBT003 - it has no name there
    try:
        yield process.pid
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
