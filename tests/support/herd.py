"""Many clients that come back whenever they lose their connection, as the programs of a fleet do."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator

GIVES_UP = 2.0
"""Seconds in which Choria programs want to be connected."""

WAITS = (0.25, 0.75)
"""Seconds between two attempts, from and to."""

_RANDOM = random.Random(11)  # noqa: S311 - no secret


class Herd:
    """The clients.

    Attributes:
        there: how many are logged in.
        attempts: how often one has connected, or tried to.
    """

    def __init__(self, port: int, context: ssl.SSLContext, *, gives_up: float) -> None:
        """Prepare; use ``herd``."""
        self._port = port
        self._context = context
        self._gives_up = gives_up
        self.there = 0
        self.attempts = 0

    async def all_there(self, count: int, deadline: float) -> None:
        """Wait until so many are logged in, and stay for a moment."""
        try:
            async with asyncio.timeout(deadline):
                while self.there < count:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self.there} of {count} are there after {self.attempts} attempts") from None

    async def live(self) -> None:
        """Be one of them, for ever."""
        while True:
            with contextlib.suppress(OSError, EOFError, TimeoutError, ValueError):
                await self._once()
            await asyncio.sleep(_RANDOM.uniform(*WAITS))

    async def _once(self) -> None:
        """Log in and wait for the end of the connection, answering whatever keeps it alive."""
        self.attempts += 1
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._gives_up):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                await reader.readuntil(b"\r\n")
                await writer.start_tls(self._context, server_hostname="127.0.0.1")
                writer.write(b'CONNECT {"verbose":false,"name":"herd"}\r\nPING\r\n')
                while await reader.readuntil(b"\r\n") != b"PONG\r\n":
                    continue
            self.there += 1
            try:
                while line := await reader.readline():
                    if line == b"PING\r\n":
                        writer.write(b"PONG\r\n")
            finally:
                self.there -= 1
        finally:
            if writer is not None:
                writer.transport.abort()


@contextlib.asynccontextmanager
async def herd(port: int, context: ssl.SSLContext, count: int, *, gives_up: float = GIVES_UP) -> AsyncIterator[Herd]:
    """Have so many clients at a port as long as the context lasts.

    Args:
        port: of 127.0.0.1.
        context: client side of TLS.
        count: how many.
        gives_up: seconds each attempt may take.
    """
    clients = Herd(port, context, gives_up=gives_up)
    async with asyncio.TaskGroup() as tasks:
        living = [tasks.create_task(clients.live()) for _ in range(count)]
        try:
            yield clients
        finally:
            for each in living:
                each.cancel()
