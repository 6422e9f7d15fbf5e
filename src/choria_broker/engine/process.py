"""The engine's process: started clean, drained, watched, and never outliving the broker."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from choria_broker.engine.loglines import parse

KEPT_LINES = 50
"""Last lines of the engine kept for the report of its death."""

_MAX_LINE = 65536
_PASSED_ON = ("GOMAXPROCS", "GOMEMLIMIT", "GOGC", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")

_log = logging.getLogger("choria_broker.engine")


def _everything(_level: int, _text: str) -> bool:
    return True


class EngineProcess:
    """A running engine.

    Attributes:
        pid: process id.
        last_lines: its last log lines, oldest first.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Take over a process that was just started; use ``start``."""
        self._process = process
        self.pid = process.pid
        self.last_lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)

    @classmethod
    async def start(cls, binary: Path, configuration: Path) -> tuple[EngineProcess, socket.socket]:
        """Start the engine on a configuration file.

        Call this on the main thread: the engine asks the kernel to end it when the thread that created it ends.

        Returns:
            The process, and the broker's end of its gate.

        Raises:
            OSError: the executable could not be started.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                binary,
                "--config",
                configuration,
                "--gate-fd",
                str(theirs.fileno()),
                "--parent-pid",
                str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                start_new_session=True,
                limit=_MAX_LINE,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)  # noqa: FBT003 - the socket's own interface
        return cls(process), ours

    async def drain(self, worth: Callable[[int, str], bool] = _everything) -> None:
        """Log what the engine says, at its level, until it closes its error output.

        Args:
            worth: tells by level and text whether a line is to be logged.
        """
        stream = self._process.stderr
        if stream is None:
            raise RuntimeError("the engine was started without its error output")
        while True:
            try:
                raw = await stream.readline()
            except ValueError:
                continue  # A line over the limit: asyncio dropped it.
            if not raw:
                return
            line = parse(raw.decode(errors="replace").rstrip("\n"))
            self.last_lines.append(line.text)
            if worth(line.level, line.text):
                _log.log(line.level, "%s", line.text)

    @property
    def alive(self) -> bool:
        """The process has not ended."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for the end of the process.

        Returns:
            Its exit status; minus the signal's number when a signal ended it.
        """
        return await self._process.wait()

    async def stop(self, grace: float, before_kill: Callable[[], None]) -> bool:
        """End the process in order: ask, wait, then kill.

        Args:
            grace: seconds it may take.
            before_kill: called when they are over, before the process is killed.

        Returns:
            True when it ended by itself, False when it had to be killed.
        """
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self._process.wait()
        except TimeoutError:
            before_kill()
            self.kill()
            await self._process.wait()
            return False
        return True

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
