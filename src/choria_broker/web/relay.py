"""The engine's monitoring pages, relayed as they are."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import web
from yarl import URL

from choria_broker.patterns import expression
from choria_broker.web.host_guard import is_from_loopback

PAGES = (
    "/",
    "/varz",
    "/connz",
    "/routez",
    "/gatewayz",
    "/raftz",
    "/leafz",
    "/subsz",
    "/subscriptionsz",
    "/accountz",
    "/accstatz",
    "/jsz",
    "/healthz",
    "/ipqueuesz",
    "/stacksz",
)
"""Pages relayed; everything else is not found."""

_OF_THIS_MACHINE = frozenset({"/stacksz"})
"""Pages that show the inside of the process, for those who could look there anyway."""

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_CHUNK = 65536
_ORIGIN = "http://engine"
"""What requests name as their server; the socket has one only."""

_LIMIT = expression(rb'("max_connections": )\d+')
_PLACE = expression(rb'("http_host": )"(?:[^"\\]|\\.)*"(,\s*"http_port": )-?\d+')
"""Where ``/varz`` tells on which address it is; quotes inside of texts are escaped, so no text looks like it."""


def asking(address: str, timeout: aiohttp.ClientTimeout, *, decompress: bool = True) -> aiohttp.ClientSession:
    """Make a session whose requests, for paths, go to the engine's pages.

    Args:
        address: of the socket.
        timeout: of a request.
        decompress: give answers as they were before they were compressed.
    """
    connector = aiohttp.UnixConnector(path=address)
    return aiohttp.ClientSession(_ORIGIN, connector=connector, timeout=timeout, auto_decompress=decompress)


class Relay:
    """Relays GET and HEAD requests for the engine's pages.

    Args:
        pages: tells the address of the engine's monitoring pages, empty while there are none.
        public: address and port that ``/varz`` is to tell in place of the engine's; None leaves them.
        connections: tells how many clients can connect, which ``/varz`` is to tell; None leaves the engine's number.
    """

    def __init__(
        self,
        pages: Callable[[], str],
        public: tuple[str, int] | None = None,
        connections: Callable[[], int] | None = None,
    ) -> None:
        """Prepare; the client session opens with the first request, and closes with the application."""
        self._public = public
        self._connections = connections
        self._pages = pages
        self._session: aiohttp.ClientSession | None = None

    def install(self, app: web.Application) -> None:
        """Add the pages and the client session's life to an application."""
        app.cleanup_ctx.append(self._live)
        for page in PAGES:
            app.router.add_get(page, functools.partial(self._relay, page))

    async def _live(self, _app: web.Application) -> AsyncIterator[None]:
        yield
        if self._session:
            await self._session.close()
        self._session = None

    async def _relay(self, page: str, request: web.Request) -> web.StreamResponse:
        if page in _OF_THIS_MACHINE and not is_from_loopback(request):
            raise web.HTTPForbidden(text="This page is only for programs on the same machine.\n")
        address = self._pages()
        if not address:
            raise web.HTTPServiceUnavailable(
                text=("The engine's pages are not available: the engine is not running.\n")
            )
        self._session = self._session or asking(address, _TIMEOUT, decompress=False)
        url = URL(f"{page}?{request.rel_url.raw_query_string}", encoded=True)
        try:
            async with self._session.request(request.method, url, allow_redirects=False) as answer:
                response = web.StreamResponse(status=answer.status)
                if "Content-Type" in answer.headers:
                    response.headers["Content-Type"] = answer.headers["Content-Type"]
                if page == "/varz" and request.method == "GET" and (self._public or self._connections):
                    text = await answer.read()
                    text = _with_place(text, *self._public) if self._public else text
                    text = _with_limit(text, self._connections()) if self._connections else text
                    return web.Response(status=answer.status, headers=response.headers, body=text)
                await response.prepare(request)
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise web.HTTPBadGateway(text="The engine does not answer.\n") from error


def _with_limit(varz: bytes, connections: int) -> bytes:
    return _LIMIT.sub(lambda found: b"%b%d" % (found[1], connections), varz, count=1)


def _with_place(varz: bytes, host: str, port: int) -> bytes:
    return _PLACE.sub(lambda found: b"%b%b%b%d" % (found[1], json.dumps(host).encode(), found[2], port), varz, count=1)
