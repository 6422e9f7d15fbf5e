"""Clients of a network that is being watched: one sends all the time, others note when a message comes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import AsyncIterator
from typing import Self

from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.building import MeasurementError
from bench.networks import Member
from choria_broker.background import beside
from support.testbed import ignore_error

_SUBJECT = "bench.failover"
_INTERVAL = 0.005
_POLL = 0.001


class Hearer:
    """A client that joins a server once it is there, and notes when which message comes.

    Attributes:
        opened: when the server's port accepted.
    """

    def __init__(self) -> None:
        """Connect to nothing yet."""
        self.opened = 0.0
        self._connection = Client()
        self._heard: list[tuple[float, int | None]] = []
        """When a message came, and from which port."""

    async def __aenter__(self) -> Self:
        """Begin; it closes with the context."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        with contextlib.suppress(AttributeError):  # From the Python client, when its server is gone.
            await self._connection.close()

    async def join(self, context: ssl.SSLContext, *members: Member) -> None:
        """Connect to the first of some servers as soon as its port accepts; the others are for when it is gone."""
        ports = [member.node.client for member in members]
        while not self.opened:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", ports[0])
                self.opened = time.perf_counter()
                writer.close()
            await asyncio.sleep(_POLL)
        # All else as the client does it by itself, but in the order given, so that it begins at the right one.
        urls = [f"tls://localhost:{port}" for port in ports]
        await self._connection.connect(
            urls, tls=context, dont_randomize=True, allow_reconnect=len(urls) > 1, error_cb=ignore_error
        )
        await self._connection.subscribe(_SUBJECT, cb=self._take)

    async def _take(self, _message: Msg) -> None:
        url = self._connection.connected_url
        self._heard.append((time.perf_counter(), url.port if url else None))

    async def hears_at(self, *members: Member) -> float:
        """Wait until a message has come from one of these servers, and return when the first did.

        Raises:
            MeasurementError: the client lost its only server.
        """
        ports = {member.node.client for member in members}
        while not self._connection.is_closed:
            for arrived, port in self._heard:
                if port in ports:
                    return arrived
            await asyncio.sleep(_POLL)
        raise MeasurementError(f"a {members[0].name} closed a connection, or ended by itself")

    def longest_gap(self, *, since: float) -> float:
        """Return the longest time between two messages of which the later came after a moment."""
        times = [arrived for arrived, _ in self._heard]
        return max(later - earlier for earlier, later in itertools.pairwise(times) if later > since)

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send a message every few milliseconds until the end of the context."""

        async def send() -> None:
            while not self._connection.is_closed:
                await self._connection.publish(_SUBJECT)
                await asyncio.sleep(_INTERVAL)

        async with beside(send(), "sending"):
            yield
