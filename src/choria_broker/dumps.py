"""State dumps for the people who debug the broker."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import tempfile
import time
from pathlib import Path


def write_thread_dump(loop: asyncio.AbstractEventLoop | None = None) -> Path:
    """Write the stacks of all threads, and of a loop's tasks, to a new file in the temporary directory.

    Returns:
        Path of the file, of mode 0600.

    Raises:
        OSError: it could not be written.
    """
    path = Path(tempfile.gettempdir()) / f"choria-threaddump-{os.getpid()}-{time.time_ns()}.txt"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        faulthandler.dump_traceback(stream, all_threads=True)
        for task in asyncio.all_tasks(loop) if loop else ():
            stream.write("\n")
            task.print_stack(file=stream)
    return path
