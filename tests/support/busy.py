"""A broker that is busy: connections that publish and subscribe, and newcomers, while something is done to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.client_end import let_go
from support.testbed import OrderedClient, ignore_error

_PATIENCE = 60


class Crowd:
    """Connections in a ring, each publishing to the next, and logins at a rate.

    Attributes:
        dropped: connections that were closed.
        received: messages that arrived.
        logins: newcomers that were let in.
        refused: what the others were told.
        longest: seconds the longest login took.
    """

    def __init__(self, port: int, context: ssl.SSLContext, **options: Any) -> None:
        """Connect nobody yet; options are those of every client."""
        self._url = f"tls://127.0.0.1:{port}"
        self._options: dict[str, Any] = {"tls": context, "allow_reconnect": False, "error_cb": ignore_error} | options
        self._clients: list[Client] = []
        self._sent = 0
        self._over = self._leaving = False
        self.dropped = self.received = self.logins = 0
        self.refused: list[str] = []
        self.longest = 0.0

    async def connect(self, count: int) -> None:
        """Connect some, and have them listen."""
        for number in range(count):
            client = OrderedClient()
            await client.connect(
                self._url, connect_timeout=_PATIENCE, closed_cb=self._lost, name=f"busy-{number}", **self._options
            )
            await client.subscribe(f"busy.{number}", cb=self._taken)
            await client.flush()
            self._clients.append(client)

    async def _lost(self) -> None:
        self.dropped += not self._leaving

    async def _taken(self, _message: Msg) -> None:
        self.received += 1

    async def publish(self) -> None:
        """Publish from each to the next, until it is over."""
        for number in itertools.cycle(range(len(self._clients))):
            if self._over:
                return
            await self._clients[number - 1].publish(f"busy.{number}", b"x")
            self._sent += 1
            await asyncio.sleep(0.005)

    async def come_and_go(self, rate: float) -> None:
        """Log in, so many times a second, until it is over; whoever is at the door by then is waited for."""
        async with asyncio.TaskGroup() as tasks:
            while not self._over:  # Nobody is cancelled: the client does not heed that everywhere.
                tasks.create_task(self._visit())
                await asyncio.sleep(1 / rate)

    async def _visit(self) -> None:
        client, begun = OrderedClient(), time.perf_counter()
        try:
            await client.connect(self._url, connect_timeout=_PATIENCE, name="newcomer", **self._options)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            self.refused.append(repr(error))
        else:
            self.logins += 1
            self.longest = max(self.longest, time.perf_counter() - begun)
        finally:
            await let_go(client)

    def end(self) -> None:
        """Publish no more, and let nobody come."""
        self._over = True

    async def settled(self) -> None:
        """Wait until every message has arrived."""
        async with asyncio.timeout(_PATIENCE):
            for client in self._clients:
                await client.flush()
            while self.received < self._sent:
                await asyncio.sleep(0.01)

    async def leave(self) -> None:
        """Disconnect everybody."""
        self._leaving = True
        for client in self._clients:
            await let_go(client)


@contextlib.asynccontextmanager
async def busy(
    port: int, context: ssl.SSLContext, *, connections: int, rate: float, **options: Any
) -> AsyncIterator[Crowd]:
    """Keep a broker busy as long as the context lasts; at its end every message has arrived."""
    crowd = Crowd(port, context, **options)
    try:
        await crowd.connect(connections)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(crowd.publish())
            tasks.create_task(crowd.come_and_go(rate))
            try:
                yield crowd
            finally:
                crowd.end()
        await crowd.settled()
    finally:
        await crowd.leave()
