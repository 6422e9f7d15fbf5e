"""One key process, as the broker sees it; ``program`` is the other side."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import cryptography

import choria_broker
from choria_broker.engine.outside import program
from choria_broker.host.children import started
from choria_broker.host.succession import unnamed

ANSWERS = 20.0
"""Seconds a process has to answer."""

_LONGEST_WORDS, _MOST_WORDS = 200, 4096
_CODE = (
    "import sys; sys.path += sys.argv[4:]; del sys.argv[4:]; "
    "from choria_broker.engine.outside.program import main; main()"
)
_PASSED_ON = ("LD_LIBRARY_PATH",)


class KeyProcessError(Exception):
    """A process refuses a key; the message is its own words."""


class KeyProcess:
    """A process that holds keys.

    Attributes:
        pid: process id.
        broker: this end of the socket on which it is told keys.
        holds: numbers of its keys.
    """

    def __init__(self, requests: socket.socket) -> None:
        """Start it; it holds no key, and does not sign yet. This takes a moment: call it in a thread.

        Args:
            requests: where requests of the engine come.

        Raises:
            OSError: it cannot be started.
        """
        self.holds: set[int] = set()
        self._lock = asyncio.Lock()
        self._asked = False
        self._output = unnamed(b"")
        self.broker, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                descriptors = (requests.fileno(), theirs.fileno())
                words = (_CODE, program.VERSION, *map(str, descriptors), *_places())
                variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
                self._child = started((sys.executable, "-I", "-S", "-c", *words), descriptors, self._output, variables)
        except BaseException:
            self.broker.close()
            os.close(self._output)
            raise
        self.broker.setblocking(False)  # noqa: FBT003 - the socket's own interface
        self.pid = self._child.pid

    async def hold(self, number: int, file: int) -> str:
        """Have it hold a key, and return the name of that: SHA-256 of the public key, in hex.

        Args:
            number: of the key.
            file: descriptor of the file with it.

        Raises:
            KeyProcessError: it cannot.
            TimeoutError: it did not answer in time.
            OSError: it has ended.
        """
        name = await self._tell(program.HOLD, number, [file])
        self.holds.add(number)
        return name.hex()

    async def forget(self, number: int) -> None:
        """Have it forget a key; raises as ``hold`` does."""
        await self._tell(program.FORGET, number, [])
        self.holds.discard(number)

    def begin(self) -> None:
        """Have it sign from now on.

        Raises:
            OSError: it has ended.
        """
        self.broker.send(program.BEGIN)

    async def wait(self) -> None:
        """Wait for its end."""
        await self._child.wait()

    async def ends(self, within: float) -> bool:
        """Wait for its end for some seconds, and tell whether it came."""
        try:
            async with asyncio.timeout(within):
                await self._child.wait()
        except TimeoutError:
            return False
        return True

    @property
    def asked(self) -> bool:
        """It was asked to end."""
        return self._asked

    @property
    def alone(self) -> bool:
        """It has ended because the engine has."""
        return not self._asked and self._child.status == 0

    @property
    def last_words(self) -> str:
        """How it ended, or what it said last; empty before."""
        status = self._child.status
        if status is None:
            return ""
        if status < 0:
            return f"signal {-status}"
        size = os.fstat(self._output).st_size
        said = os.pread(self._output, _MOST_WORDS, max(0, size - _MOST_WORDS)).decode(errors="replace").split("\n")
        said = [line for line in said if line.strip()]
        return said[-1][:_LONGEST_WORDS] if said else f"exit status {status}"

    def dismiss(self) -> None:
        """Have it end: nobody needs it any more."""
        self._asked = True
        self.broker.close()

    def kill(self) -> None:
        """End it at once."""
        self._child.send(signal.SIGKILL)

    async def end(self, within: float) -> None:
        """Have it end, and wait for that; it is killed when it takes longer.

        Args:
            within: seconds.
        """
        self.dismiss()
        try:
            async with asyncio.timeout(within):
                await self._child.wait()
        except TimeoutError:
            self.kill()
            await self._child.wait()
        finally:
            if self._output >= 0:
                os.close(self._output)
                self._output = -1

    async def _tell(self, order: bytes, number: int, files: list[int]) -> bytes:
        loop = asyncio.get_running_loop()
        async with self._lock, asyncio.timeout(ANSWERS):
            socket.send_fds(self.broker, [order + number.to_bytes(program.NUMBER, "big")], files)
            answer = await loop.sock_recv(self.broker, 4096)
        if answer.startswith(program.REFUSED):
            raise KeyProcessError(answer[1:].decode(errors="replace")[:_LONGEST_WORDS])
        if not answer.startswith(program.DONE):
            raise ConnectionResetError("a key process has ended")
        return answer[1:]


def _places() -> list[str]:
    """Return where the program's modules are, and the library's: it is started without those of the site."""
    modules = (choria_broker, cryptography, sys.modules.get("_cffi_backend"))
    found = [Path(each.__file__) for each in modules if each is not None and each.__file__]
    return list(dict.fromkeys(str(path.parent if path.name != "__init__.py" else path.parent.parent) for path in found))
