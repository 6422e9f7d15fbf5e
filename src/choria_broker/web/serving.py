"""Serving the statistics application on a port, within bounds, so that nobody can wear it out.

How it works. aiohttp speaks HTTP. Before it stands ``_Connection``, a protocol that hands on every byte and bounds what
aiohttp does not: how many connections there are, how long a peer may keep one of them without getting on, and how much
of a header there may be, which aiohttp keeps until its end has come.

    made        over the bound: somebody gives way, as ``places`` says, or it is closed at once and aiohttp never hears
                of it. Else counted, and the deadline runs.
    header      bytes go on to aiohttp. The deadline, set once, is not moved by bytes, so that one byte a second does
                not help. The end of the first header stops it.
    serving     no deadline here: aiohttp has its own between requests (``keepalive_timeout``), and an answer that the
                peer reads takes as long as it takes.
    blocked     the peer does not read: the transport's buffer is full and ``pause_writing`` sets the deadline anew.
                ``resume_writing`` stops it, and the connection is serving again.
    lost        counted no more, deadline stopped, aiohttp told; only from here is the place free for another.

A deadline that is over aborts the transport, without waiting for what was not sent: waiting is what the peer wants.
Only the first header has a deadline here; aiohttp has one for later ones. Whatever comes without the empty line that
ends a header is counted all the time, so that later headers, trailers and bodies are bounded too, at a little more than
a form of the dashboard may have. When the port closes, requests under way have ``farewell`` seconds, and then aiohttp
closes what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import cast

import msgspec
from aiohttp import web

from choria_broker.audit.throttle import site as place_of
from choria_broker.host.listening import bound
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.settings.hostnames import authority
from choria_broker.web.places import gives_way

_log = component("network")

_LOOK_AGAIN = 0.01
_END_OF_HEADER = b"\r\n\r\n"
_SAYS = b"This question is too long. Ask for less at once.\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SAYS), _SAYS)
)


class Bounds(msgspec.Struct, frozen=True):
    """Limits of the port.

    Attributes:
        connections: most at once; then somebody gives way, or further ones are closed at once.
        farewell: seconds requests under way have when the port closes.
        patience: seconds a peer has to complete the header of a request, and to go on reading an answer.
        header: most bytes of the first header.
        more: most bytes of anything else between two ends of headers.
    """

    connections: int = 256
    farewell: float = 1.0
    patience: float = 10.0
    header: int = 16_384
    more: int = 81_920


@contextlib.asynccontextmanager
async def serve(
    app: web.Application,
    addresses: str | Sequence[str],
    port: int,
    bounds: Bounds | None = None,
    succession: Succession | None = None,
    *,
    taken: Mapping[str, socket.socket] | None = None,
) -> AsyncIterator[int]:
    """Serve an application on a TCP port, as long as the context lasts.

    Args:
        app: the application.
        addresses: IP address to listen on, or several.
        port: to listen on, 0 for a free one.
        bounds: other limits than the usual ones.
        succession: has the listening sockets of the program before, and takes them over when this one leaves.
        taken: sockets by address, where they are taken already.

    Yields:
        The port.

    Raises:
        OSError: the port cannot be had.
    """
    bounds, succession = bounds or Bounds(), succession or Succession()
    # aiohttp keeps a connection alive this long until the header of the next request is complete; the first request,
    # for which only its later versions do the same, has the deadline of the connection below.
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=bounds.patience, shutdown_timeout=bounds.farewell)
    await runner.setup()
    try:
        connected: dict[_Connection, None] = {}
        listening = []
        for address in (addresses,) if isinstance(addresses, str) else addresses:
            name = f"statistics {address}"
            sock = (taken or {}).get(address) or succession.inherited_socket(name) or bound(address, port)
            listening.append((name, sock))
            await _Site(runner, address, sock, bounds, connected).start()
        yield runner.addresses[0][1]
        if succession.leaving:
            for name, sock in listening:
                succession.bequeath(name, sock.fileno())
            await _last_requests(runner, connected, bounds.farewell)
    finally:
        await runner.cleanup()


async def _last_requests(runner: web.BaseRunner, connected: Collection[_Connection], patience: float) -> None:
    """Take no more connections, and give those that are there time to send their first request."""
    for site in list(runner.sites):
        await site.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while any(each.waiting for each in connected):  # noqa: ASYNC110 - a moment, and not worth a signal
                await asyncio.sleep(_LOOK_AGAIN)


class _Site(web.BaseSite):
    def __init__(
        self,
        runner: web.BaseRunner,
        address: str,
        sock: socket.socket,
        bounds: Bounds,
        connected: dict[_Connection, None],
    ) -> None:
        super().__init__(runner)
        self._address = address
        self._sock = sock
        self._bounds = bounds
        self._connected = connected

    @property
    def name(self) -> str:
        return f"http://{authority(self._address, self._sock.getsockname()[1])}"

    async def start(self) -> None:
        await super().start()
        make = self._runner.server
        if make is None:
            raise RuntimeError("the runner was not set up")
        loop = asyncio.get_running_loop()

        def connection() -> _Connection:
            return _Connection(make, self._connected, self._bounds)

        # The loop itself would make a socket for IPv6 alone of ::, where every other listener of the broker takes both.
        self._server = await loop.create_server(connection, sock=self._sock)


class _Connection(asyncio.Protocol):
    """Stands before aiohttp's protocol and hands it everything, as long as the connection is within the bounds."""

    def __init__(
        self, make: Callable[[], asyncio.Protocol], connected: dict[_Connection, None], bounds: Bounds
    ) -> None:
        self._make = make
        self._connected = connected
        self._bounds = bounds
        self._served = asyncio.Protocol()
        self.place = ""
        self._transport: asyncio.WriteTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._begun = False
        """The first header is complete."""
        self._tail = b""
        """Last bytes that came: an end of a header may come in pieces."""
        self._unended = 0
        """Bytes since the last end of a header."""

    @property
    def waiting(self) -> bool:
        """No request has come so far."""
        return not self._begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.place = place_of(peer[0]) if peer else ""
        if len(self._connected) >= self._bounds.connections and not self._replaces_another():
            transport.close()
            return
        self._connected[self] = None
        self._transport = cast("asyncio.WriteTransport", transport)  # A class of uvloop's own, under that loop.
        self._arm()
        self._served = self._make()
        self._served.connection_made(transport)

    def _replaces_another(self) -> bool:
        other = gives_way(self.place, self._connected)
        if other is None:
            return False
        other.give_way()
        return True

    def give_way(self) -> None:
        """Leave the place to another connection."""
        self._connected.pop(self, None)
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        seen = self._tail + data
        self._tail = seen[1 - len(_END_OF_HEADER) :]
        pieces = seen.split(_END_OF_HEADER)
        first = self._unended + len(pieces[0]) - len(_END_OF_HEADER)
        more = max(map(len, pieces[1:]), default=0) - len(_END_OF_HEADER)
        if first > (self._bounds.more if self._begun else self._bounds.header) or more > self._bounds.more:
            self._refuse()
            return
        if len(pieces) > 1:
            self._unended = len(pieces[-1])
            if not self._begun:
                self._begun = True
                self._disarm()
        else:
            self._unended += len(data)
        self._served.data_received(data)

    def _refuse(self) -> None:
        """End a connection whose header is too long; with words while no answer can be under way."""
        if self._transport is not None:
            if self._begun:
                self._transport.abort()
            else:
                self._transport.write(_TOO_LARGE)
                self._transport.close()

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
        self._connected.pop(self, None)
        self._served.connection_lost(exc)

    def _arm(self) -> None:
        self._disarm()
        if self._transport is not None:
            self._deadline = asyncio.get_running_loop().call_later(self._bounds.patience, self._transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
