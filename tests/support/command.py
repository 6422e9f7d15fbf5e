"""The broker as an operator runs it: a process, its log, its readiness as told to systemd."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from click.testing import CliRunner, Result

from choria_broker.cli import main
from support.leaks import leaks

DEADLINE = 60.0


class Program:
    """A running ``choria-broker``.

    Attributes:
        pid: process id.
    """

    def __init__(self, process: asyncio.subprocess.Process, notifications: socket.socket, log: Path) -> None:
        """Take over a process; use ``started``."""
        self._process = process
        self._notifications = notifications
        self._log = log
        self.pid = process.pid

    async def told(self, state: str) -> None:
        """Wait until the program has told the service manager a state."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            while (await loop.sock_recv(self._notifications, 100)).decode() != state:
                continue

    async def tells(self, text: str) -> str:
        """Wait until the program tells the service manager something that has a text in it, and return all of it."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            while text not in (told := (await loop.sock_recv(self._notifications, 4096)).decode()):
                continue
        return told

    @contextlib.asynccontextmanager
    async def heard(self) -> AsyncIterator[list[str]]:
        """Take in what the program tells the service manager as long as the context lasts, and yield that."""
        loop, heard = asyncio.get_running_loop(), list[str]()

        async def hear() -> None:
            while True:
                heard.append((await loop.sock_recv(self._notifications, 4096)).decode())

        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(hear())
            try:
                yield heard
            finally:
                hearing.cancel()

    def forget(self) -> None:
        """Throw away what the program has told the service manager so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._notifications.recv(4096)

    async def ended(self, within: float = DEADLINE) -> int:
        """Wait for the end of the program, for so many seconds, and return its exit status."""
        async with asyncio.timeout(within):
            return await self._process.wait()

    async def heeds(self, number: signal.Signals) -> None:
        """Wait until a signal would no longer end the program."""
        bit = 1 << (number - 1)
        async with asyncio.timeout(DEADLINE):
            while not self._heeded() & bit:
                await asyncio.sleep(0.001)

    def _heeded(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        masks = re.findall(r"^Sig(?:Ign|Cgt):\s*(\w+)$", status, re.MULTILINE)
        return int(masks[0], 16) | int(masks[1], 16)

    @property
    def running(self) -> bool:
        """The program has not ended."""
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; asyncio's own way could take the exit status away from whoever waits for it."""
        os.kill(self.pid, number)

    async def logs(self, text: str) -> dict[str, object]:
        """Wait for a log line whose message has a text in it, and return its fields."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for line in self.lines():
                    if text in str(line["msg"]):
                        return line
                await asyncio.sleep(0.02)

    async def acted(self, act: str) -> list[dict[str, object]]:
        """Wait for a log line that tells of an operator's act, and return all of that act so far."""
        async with asyncio.timeout(DEADLINE):
            while not (found := [line for line in self.lines() if line.get("act") == act]):
                await asyncio.sleep(0.02)
        return found

    def lines(self) -> list[dict[str, object]]:
        """Read the whole log so far."""
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]

    async def output(self) -> str:
        """Read what the program wrote to standard error, after its end."""
        stream = self._process.stderr
        return (await stream.read()).decode() if stream else ""


@contextlib.asynccontextmanager
async def started(
    *arguments: str | Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    within: Sequence[str | Path] = (),
    program: Path = Path(sys.executable).parent / "choria-broker",
) -> AsyncIterator[Program]:
    """Start ``choria-broker`` with arguments; on exit it is gone in any case.

    Args:
        arguments: of the command line.
        log: the log file that its configuration names.
        environment: variables to add.
        within: the beginning of a command that becomes the program.
        program: the executable.
    """
    address = f"\0choria-broker-test-{os.getpid()}-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(address)
        notifications.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            *within,
            program,
            *arguments,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": "@" + address[1:], **(environment or {})},
        )
        try:
            yield Program(process, notifications, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if log.exists():
            assert not leaks(log.read_text(encoding="utf-8")), "the program's log has a secret in it"


def invoked(*arguments: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, list(map(str, arguments)))


async def run(*arguments: str | Path) -> Result:
    """Run a command in a thread, so that the broker in this loop can answer."""
    return await asyncio.to_thread(invoked, *arguments)
