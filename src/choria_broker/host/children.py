"""A child process that is watched by its id alone, so that whoever replaces its parent's program can go on with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

_LOOK_EVERY = 0.1
"""Seconds between two looks where the kernel cannot tell of the end by itself, as before Linux 5.3."""


def started(command: Sequence[str], descriptors: Sequence[int], output: int, environ: Mapping[str, str]) -> Child:
    """Start a child in a session of its own, with neither input nor output.

    Args:
        command: the program and its arguments.
        descriptors: those that it gets, under the same numbers.
        output: of the file for what it says of errors.
        environ: its variables.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603 - callers run programs of ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=output,
        pass_fds=descriptors,
        env=environ,
        start_new_session=True,
    )
    process.returncode = 0  # It is waited for by its id, perhaps by the next program.
    return Child(process.pid)


class Child:
    """A child of this process; nobody else may wait for it.

    Attributes:
        pid: process id.
        status: its exit status once it ended, minus the signal's number when a signal ended it; None before.
    """

    def __init__(self, pid: int) -> None:
        """Take over a child that was just started, also by the program that this process ran before."""
        self.pid = pid
        self.status: int | None = None

    @property
    def alive(self) -> bool:
        """It has not ended, as far as is known."""
        return self.status is None

    async def wait(self) -> int:
        """Wait for its end, and return its exit status."""
        with contextlib.ExitStack() as opened:
            try:
                descriptor = os.pidfd_open(self.pid)
            except OSError:
                descriptor = -1  # The kernel is old, or the child was waited for already.
            else:
                opened.callback(os.close, descriptor)
            while (status := self._look()) is None:
                if descriptor < 0:
                    await asyncio.sleep(_LOOK_EVERY)
                else:
                    await _readable(descriptor)
        return status

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended gets none."""
        # Until it was waited for, nobody else gets its number.
        if self._look() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _look(self) -> int | None:
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 255 << 8  # Somebody else took what it had to tell.
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
