"""The way of the broker's own NATS clients: a Unix socket in the run directory, where only the broker's user gets.

Every user of the machine would get to a port, and a flood there would hold up the broker's logins.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import NoReturn
from urllib.parse import ParseResult

from nats.aio.transport import Transport


class OwnTransport(Transport):
    """Connects a NATS client to a Unix socket, whatever address it was told.

    Args:
        address: of the socket.
    """

    def __init__(self, address: str) -> None:
        """Prepare; nothing is opened before ``connect``."""
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open the connection, also again after it was closed."""
        del uri
        async with asyncio.timeout(connect_timeout):
            self._streams = await asyncio.open_unix_connection(self._address, limit=buffer_size)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> NoReturn:
        """Refuse: there is no TLS inside of one machine.

        Raises:
            ConnectionError: always.
        """
        del uri, ssl_context, buffer_size, connect_timeout
        raise ConnectionError("the broker connects to itself without TLS")

    @property
    def _reader(self) -> asyncio.StreamReader:
        return self._opened()[0]

    @property
    def _writer(self) -> asyncio.StreamWriter:
        return self._opened()[1]

    def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            raise ConnectionError("not connected")
        return self._streams

    def write(self, payload: bytes) -> None:
        """Take bytes to send; that nobody is left to take them shows when there is to be room for more."""
        if not self._writer.is_closing():  # uvloop refuses what other loops drop.
            self._writer.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Take bytes to send, in pieces."""
        if not self._writer.is_closing():
            self._writer.writelines(payload)

    async def read(self, buffer_size: int) -> bytes:
        """Return what arrived, up to a number of bytes."""
        return await self._reader.read(buffer_size)

    async def readline(self) -> bytes:
        """Return one line."""
        return await self._reader.readline()

    async def drain(self) -> None:
        """Wait until there is room for more to send."""
        await self._writer.drain()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        if self._streams:
            await self._streams[1].wait_closed()

    def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()

    def at_eof(self) -> bool:
        """Whether nothing will arrive any more."""
        return self._streams is None or self._streams[0].at_eof()

    def __bool__(self) -> bool:
        """Always true: the client makes a transport of its own in place of one that is false."""
        return True
