"""Commands of this machine that are asked something, such as facter: bounded in time, and none outlives the broker."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import threading
from collections.abc import Sequence

from choria_broker.host.environment import for_children

_ENDING = 1.0
"""Seconds to wait for the end of a command that was killed."""


class Commands:
    """The commands that run."""

    def __init__(self) -> None:
        """None runs."""
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def run(self, command: Sequence[str], seconds: float) -> str:
        """Run a command, in any thread.

        Args:
            command: its words.
            seconds: it has.

        Returns:
            Its standard output without surrounding blanks; empty when it fails, is too slow, or is given up.
        """
        try:
            process = self._started(command)
        except (OSError, ValueError):
            return ""
        if process is None:
            return ""
        with process:
            try:
                output, _ = process.communicate(timeout=max(seconds, 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
                return ""
            finally:
                with self._lock:
                    self._running.discard(process)
        return output.decode("utf-8", "replace").strip() if process.returncode == 0 else ""

    def _started(self, command: Sequence[str]) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._over:
                return None
            process = subprocess.Popen(  # noqa: S603 - fixed arguments, found in known places or in PATH
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=for_children(os.environ),
            )
            self._running.add(process)
            return process

    def give_up(self) -> None:
        """End all that run, and start no more: the program is about to end, and nobody waits for what asks them."""
        with self._lock:
            self._over = True
            for process in self._running:
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    process.kill()
                    process.wait(_ENDING)

    def go_on(self) -> None:
        """Start some again: the program does not end after all."""
        with self._lock:
            self._over = False


COMMANDS = Commands()
"""Those of this process."""

atexit.register(COMMANDS.give_up)
