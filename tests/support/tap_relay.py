"""A relay on loopback that hears what passes through it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

_HANDED_OVER = 5
"""Turns of the loop from taking a connection to telling of it, and a few more."""


@dataclasses.dataclass(slots=True)
class Wiretap:
    """A relay.

    Attributes:
        port: where it listens, on 127.0.0.1.
        connections: what was heard on each connection so far, from whom it was opened and to whom it was opened.
    """

    port: int = 0
    connections: list[tuple[bytearray, bytearray]] = dataclasses.field(default_factory=list)

    @property
    def heard(self) -> bytes:
        """Everything that passed, in no particular order of connections."""
        return b"".join(bytes(part) for pair in self.connections for part in pair)


@contextlib.asynccontextmanager
async def tapped(port: int) -> AsyncIterator[Wiretap]:
    """Relay connections to a port of 127.0.0.1, also of a listener that opens later only."""
    tap = Wiretap()
    relays: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async with asyncio.TaskGroup() as tasks:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # At once, not in a task: one that the end of the context overtakes would never see its connection.
            writers.append(writer)
            relays.add(tasks.create_task(_relay(tap, port, reader, writer)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        tap.port = server.sockets[0].getsockname()[1]
        try:
            yield tap
        finally:
            # Connections that were taken and not yet handed over come in these turns of the loop; asyncio loses those
            # that come after the close.
            for _ in range(_HANDED_OVER):
                await asyncio.sleep(0)
            server.close()
            for relay in relays:
                relay.cancel()
            for writer in writers:
                writer.transport.abort()


async def _relay(tap: Wiretap, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return
    there, back = bytearray(), bytearray()
    tap.connections.append((there, back))
    try:
        async with asyncio.TaskGroup() as tasks:
            ways = [
                tasks.create_task(_pass_on(reader, far_writer, there)),
                tasks.create_task(_pass_on(far_reader, writer, back)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
    finally:
        far_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            heard += data
            writer.write(data)
            await writer.drain()
