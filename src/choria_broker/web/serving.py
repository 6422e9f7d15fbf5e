"""Serving the statistics application on a port, within bounds, so that nobody can wear it out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Callable
from typing import cast

from aiohttp import web

from choria_broker.config.settings import Statistics
from choria_broker.web.host_guard import is_loopback, only_known_hosts

_END_OF_HEADER = b"\r\n\r\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of the port.

    Attributes:
        connections: most at once; further ones are closed at once.
        farewell: seconds requests under way have when the port closes.
        patience: seconds a peer has to complete the header of a request, and to go on reading an answer.
    """

    connections: int = 256
    farewell: float = 1.0
    patience: float = 10.0


@contextlib.asynccontextmanager
async def serve(app: web.Application, host: str, port: int, bounds: Bounds | None = None) -> AsyncIterator[int]:
    """Serve an application on a TCP port, as long as the context lasts.

    Args:
        app: the application.
        host: address to listen on.
        port: to listen on, 0 for a free one.
        bounds: other limits than the usual ones.

    Yields:
        The port.

    Raises:
        OSError: the port cannot be had.
    """
    bounds = bounds or Bounds()
    # aiohttp keeps a connection alive this long until the header of the next request is complete; the first request,
    # for which only its later versions do the same, has the deadline of the connection below.
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=bounds.patience, shutdown_timeout=bounds.farewell)
    await runner.setup()
    try:
        site = _Site(runner, host, port, bounds)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def statistics_port(app: web.Application, statistics: Statistics, identity: str) -> AsyncIterator[int]:
    """Serve an application on the statistics port; on loopback only under names that lead there.

    Args:
        app: the application.
        statistics: where to.
        identity: of the broker, which is one of those names.

    Yields:
        The port.

    Raises:
        OSError: the port cannot be had.
    """
    if is_loopback(statistics.address):
        app.middlewares.append(only_known_hosts(statistics.address, identity))
    async with serve(app, statistics.address, statistics.port) as port:
        yield port


class _Site(web.BaseSite):
    def __init__(self, runner: web.BaseRunner, host: str, port: int, bounds: Bounds) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._bounds = bounds

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        make = self._runner.server
        if make is None:
            raise RuntimeError("the runner was not set up")
        connected: set[_Connection] = set()
        loop = asyncio.get_running_loop()

        def connection() -> _Connection:
            return _Connection(make, connected, self._bounds)

        if self._host == "::" and socket.has_dualstack_ipv6():
            # The loop makes a socket for IPv6 alone of it, where every other listener of the broker takes both.
            both = socket.create_server((self._host, self._port), family=socket.AF_INET6, dualstack_ipv6=True)
            self._server = await loop.create_server(connection, sock=both)
        else:
            self._server = await loop.create_server(connection, self._host, self._port)


class _Connection(asyncio.Protocol):
    """Stands before aiohttp's protocol and hands it everything, as long as the connection is within the bounds."""

    def __init__(self, make: Callable[[], asyncio.Protocol], connected: set[_Connection], bounds: Bounds) -> None:
        self._make = make
        self._connected = connected
        self._bounds = bounds
        self._served = asyncio.Protocol()
        self._transport: asyncio.WriteTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._tail: bytes | None = b""
        """Last bytes of the first header while it is incomplete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._connected) >= self._bounds.connections:
            transport.close()
            return
        self._connected.add(self)
        self._transport = cast("asyncio.WriteTransport", transport)  # A class of uvloop's own, under that loop.
        self._arm()
        self._served = self._make()
        self._served.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._tail is not None:
            seen = self._tail + data
            self._tail = seen[1 - len(_END_OF_HEADER) :]
            if _END_OF_HEADER in seen:
                self._tail = None
                self._disarm()
        self._served.data_received(data)

    def eof_received(self) -> bool | None:
        return self._served.eof_received()

    def pause_writing(self) -> None:
        self._arm()
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._disarm()
        self._served.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._connected.discard(self)
        self._served.connection_lost(exc)

    def _arm(self) -> None:
        self._disarm()
        if self._transport is not None:
            self._deadline = asyncio.get_running_loop().call_later(self._bounds.patience, self._transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
