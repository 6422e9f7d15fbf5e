"""Programs on a terminal of their own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import AsyncIterator
from pathlib import Path


class Terminal:
    """A program on a terminal of its own.

    Attributes:
        process: the program.
    """

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        """Use ``on_terminal``."""
        self.process = process
        self._descriptor = descriptor
        self._shown = b""
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            self._shown += os.read(self._descriptor, 65536)
        except OSError:  # The program has ended.
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._news.set()

    async def shows(self, pattern: str) -> bytes:
        """Wait until something was drawn since the last call, and return what."""
        while not (found := re.search(pattern.encode(), self._shown, re.DOTALL)):
            self._news.clear()
            await self._news.wait()
        shown, self._shown = self._shown[: found.end()], self._shown[found.end() :]
        return shown

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._descriptor, keys)


@contextlib.asynccontextmanager
async def on_terminal(*command: str | Path) -> AsyncIterator[Terminal]:
    """Run a program on a terminal of 50 lines and 200 columns; it is killed at the end of the context."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
