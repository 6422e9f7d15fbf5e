"""The engine's process: started clean, drained, watched, and never outliving the broker."""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import msgspec

from choria_broker.engine.loglines import parse
from choria_broker.host.children import Child

KEPT_LINES = 50
"""Last lines of the engine kept for the report of its death."""

_MAX_LINE = 65536
_PASSED_ON = ("GOMAXPROCS", "GOMEMLIMIT", "GOGC", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")

_log = logging.getLogger("choria_broker.engine")


def _everything(_level: int, text: str) -> str:
    return text


class Output(msgspec.Struct, frozen=True):
    """The error output of an engine.

    Attributes:
        pipe: descriptor to read it from.
        begun: what was read of a line that has no end yet.
    """

    pipe: int
    begun: bytes = b""


class EngineProcess:
    """A running engine.

    Attributes:
        pid: process id.
        last_lines: its last log lines, oldest first.
    """

    def __init__(self, pid: int, output: Output) -> None:
        """Take over a process that runs; use ``start``, or this for one that the program before has started.

        Args:
            pid: process id of this process's child.
            output: its error output; the pipe is closed with the end of ``drain``.
        """
        self._child = Child(pid)
        self._output, self._begun = output.pipe, output.begun
        self._lines: _Lines | None = None
        self.pid = pid
        self.last_lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)

    @classmethod
    def start(
        cls, binary: Path, configuration: Path, listeners: Mapping[str, socket.socket] | None = None
    ) -> tuple[EngineProcess, socket.socket]:
        """Start the engine on a configuration file.

        Call this on the main thread: the engine asks the kernel to end it when the thread that created it ends.

        Args:
            binary: the executable.
            configuration: its configuration file.
            listeners: listening sockets that the engine takes over, by the option that tells it of each.

        Returns:
            The process, and the broker's end of its gate.

        Raises:
            OSError: the executable could not be started.
        """
        ours, theirs = socket.socketpair()
        output, theirs_output = os.pipe()
        inherited = {"--gate-fd": theirs, **(listeners or {})}
        options = [text for option, each in inherited.items() for text in (option, str(each.fileno()))]
        try:
            process = subprocess.Popen(  # noqa: S603 - our own engine
                [
                    binary,
                    "--config",
                    configuration,
                    *options,
                    "--parent-pid",
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=theirs_output,
                pass_fds=tuple(each.fileno() for each in inherited.values()),
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            os.close(output)
            raise
        finally:
            os.close(theirs_output)
            for each in inherited.values():
                each.close()  # An engine that is gone leaves nobody waiting at its socket.
        ours.setblocking(False)  # noqa: FBT003 - the socket's own interface
        process.returncode = 0  # From here on the engine is waited for by its id; this object is not to do it as well.
        return cls(process.pid, Output(output)), ours

    async def drain(self, admit: Callable[[int, str], str | None] = _everything) -> None:
        """Log what the engine says, at its level, until it closes its error output.

        Args:
            admit: given level and text of each line, returns what is logged of it; None for nothing.
        """

        def said(raw: bytes) -> None:
            line = parse(raw.decode(errors="replace"))
            self.last_lines.append(line.text)
            admitted = admit(line.level, line.text)
            if admitted is not None:
                _log.log(line.level, "%s", admitted)

        lines = self._lines = _Lines(said, self._begun)
        pipe = os.fdopen(self._output, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: lines, pipe)
        try:
            await lines.ended
        finally:
            transport.close()

    def output(self) -> Output:
        """Stop listening, for good, so that the next program can go on where this one stopped.

        Returns:
            The pipe, and what came of a line that has no end yet.
        """
        begun = self._lines.stop() if self._lines else self._begun
        return Output(os.dup(self._output), begun)

    @property
    def alive(self) -> bool:
        """The process has not ended."""
        return self._child.alive

    async def wait(self) -> int:
        """Wait for the end of the process.

        Returns:
            Its exit status; minus the signal's number when a signal ended it.
        """
        return await self._child.wait()

    async def stop(self, grace: float, before_kill: Callable[[], None]) -> bool:
        """End the process in order: ask, wait, then kill.

        Args:
            grace: seconds it may take.
            before_kill: called when they are over, before the process is killed.

        Returns:
            True when it ended by itself, False when it had to be killed.
        """
        self._child.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self._child.wait()
        except TimeoutError:
            before_kill()
            self.kill()
            await self._child.wait()
            return False
        return True

    def kill(self) -> None:
        """End the process at once."""
        self._child.send(signal.SIGKILL)


class _Lines(asyncio.Protocol):
    """Cuts what arrives into lines; what is longer than any line of an engine is dropped up to its end."""

    def __init__(self, said: Callable[[bytes], None], begun: bytes) -> None:
        self._said = said
        self._buffer = bytearray(begun)
        self._dropping = False
        self._transport: asyncio.ReadTransport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.ReadTransport", transport)  # A class of uvloop's own, under that loop.

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._buffer + data).split(b"\n")
        for line in lines:
            if not self._dropping:
                self._said(bytes(line))
            self._dropping = False
        if len(rest) > _MAX_LINE:
            self._dropping, rest = True, bytearray()
        self._buffer = rest

    def connection_lost(self, _error: Exception | None) -> None:
        if self._buffer:
            self._said(bytes(self._buffer))
            self._buffer.clear()
        if not self.ended.done():
            self.ended.set_result(None)

    def stop(self) -> bytes:
        if self._transport is not None and not self.ended.done():
            self._transport.pause_reading()
        begun, self._buffer = bytes(self._buffer), bytearray()
        return begun
