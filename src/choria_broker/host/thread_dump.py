"""State dumps for the people who debug the broker."""

from __future__ import annotations

import asyncio
import faulthandler
import io
import os
import tempfile
import time
from pathlib import Path

from choria_broker.host.private_file import open_new
from choria_broker.log.structured import ComponentLog


def write_thread_dump(loop: asyncio.AbstractEventLoop | None = None) -> Path:
    """Write the stacks of all threads, and of a loop's tasks, to a new file in the temporary directory.

    Returns:
        Path of the file, of mode 0600.

    Raises:
        OSError: it could not be written.
    """
    path = Path(tempfile.gettempdir()) / f"choria-threaddump-{os.getpid()}-{time.time_ns()}.txt"
    file = open_new(path)
    try:
        with io.TextIOWrapper(file, encoding="utf-8") as stream:
            faulthandler.dump_traceback(stream, all_threads=True)
            for task in asyncio.all_tasks(loop) if loop else ():
                stream.write("\n")
                task.print_stack(file=stream)
    except OSError:
        path.unlink(missing_ok=True)  # Half of one on a full disk is of no use.
        raise
    return path


def dump_threads(log: ComponentLog, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Write a state dump, and log where it is, or why there is none."""
    try:
        log.warning("Wrote the stacks of all threads", path=str(write_thread_dump(loop)))
    except OSError as error:
        log.warning("Cannot write the stacks", directory=tempfile.gettempdir(), why=error.strerror)
