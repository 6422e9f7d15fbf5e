"""Links to other brokers that are slow for a while: they have more time than clients."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from choria_broker.values import replace
from support.testbed import Authority, client, settled
from support.topology import DEADLINE, Node, Setting, broker, carried, formed, page, peers

CHUNK = 256 * 1024
CHUNKS = 80
"""20 MB, which no socket and no relay holds."""

STALL = 1.5
"""Seconds that the link takes nothing: several times what clients have here."""


@dataclasses.dataclass(slots=True)
class Relay:
    """Passes connections on to a port, while it may."""

    port: int = 0
    flowing: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one direction."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.flowing.wait()
                writer.write(data)
                await writer.drain()


@contextlib.asynccontextmanager
async def relayed(port: int) -> AsyncIterator[Relay]:
    """Relay connections to a port of 127.0.0.1."""
    relay, writers = Relay(), list[asyncio.StreamWriter]()
    relay.flowing.set()
    async with asyncio.TaskGroup() as tasks:
        running: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(far_writer)
                running.update(
                    (
                        tasks.create_task(relay.pass_on(reader, far_writer)),
                        tasks.create_task(relay.pass_on(far_reader, writer)),
                    )
                )

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            server.close()
            for task in running:
                task.cancel()
            for writer in writers:
                writer.transport.abort()


async def routes_of(node: Node) -> list[tuple[int, str]]:
    """Return number and start of each route of a node."""
    routez = await page(node, "/routez")
    return sorted((route["rid"], route["start"]) for route in routez.get("routes") or ())


async def test_a_slow_route_stays_and_loses_nothing(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Node("b1.example.net"), Node("b2.example.net")
    bob = authority.context(authority.issue("bob.mcollective"))
    async with relayed(two.peer) as relay:
        seen = replace(two, peer=relay.port)
        quick: dict[str, Setting] = {"network__write_deadline": "200ms"}
        first = broker(tmp_path, authority, one, **peers(one, seen), **quick)
        second = broker(tmp_path, authority, two, **peers(two), **quick)
        async with second, first, client(first, bob) as sender, client(second, bob) as receiver:
            await formed(one, two)
            await carried(sender, receiver)
            before, heard, everything = await routes_of(one), 0, asyncio.Event()

            async def count(_message: Msg) -> None:
                nonlocal heard
                heard += 1
                if heard == CHUNKS:
                    everything.set()

            await receiver.subscribe("mcollective.bulk", cb=count)
            await settled(receiver)
            await carried(sender, receiver)
            relay.flowing.clear()
            asyncio.get_running_loop().call_later(STALL, relay.flowing.set)
            for _ in range(CHUNKS):
                await sender.publish("mcollective.bulk", bytes(CHUNK))
            await settled(sender)
            async with asyncio.timeout(DEADLINE):
                await everything.wait()
            assert await routes_of(one) == before
    assert "WriteDeadline" not in caplog.text
