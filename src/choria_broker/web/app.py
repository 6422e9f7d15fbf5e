"""The statistics application: Choria's pages and the engine's, for one port or to be mounted in another application."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry

from choria_broker.stats.exposition import CONTENT_TYPE, exposition
from choria_broker.web.relay import Relay

_TAKES_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)
"""What a browser or Prometheus says that takes compressed answers; a quality of 0 says that it does not."""


def create_app(
    instance: Callable[[], Mapping[str, object]],
    registry: CollectorRegistry,
    monitoring_port: Callable[[], int],
    *,
    public: tuple[str, int] | None = None,
    pages: Mapping[str, Handler] | None = None,
) -> web.Application:
    """Build the application.

    Args:
        instance: gives the instance document anew for each request.
        registry: metrics to show.
        monitoring_port: tells the loopback port of the engine's monitoring listener, 0 while there is none.
        public: address and port of the statistics port, as the engine's pages are to tell them; None leaves its own.
        pages: further pages for GET and HEAD by path, which come before the instance document.
    """

    async def show_instance(_request: web.Request) -> web.Response:
        text = json.dumps(instance(), separators=(",", ":"), ensure_ascii=False)
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def show_metrics(request: web.Request) -> web.Response:
        # With thousands of leafnodes it takes as long as connections have to be decided.
        text = await asyncio.to_thread(exposition, registry)
        response = web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
        if _TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def only_read(request: web.Request) -> web.Response:
        raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD"))

    async def to_folder(request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently(f"{request.path}/")

    app = web.Application()
    for path in ("/metrics", "/choria/prometheus", "/choria/metrics"):
        app.router.add_route("*", path, show_metrics)
    for path, page in (pages or {}).items():
        app.router.add_get(path, page)
        app.router.add_route("*", path, only_read)
    app.router.add_route("*", "/choria", to_folder)
    app.router.add_route("*", "/choria/{rest:.*}", show_instance)
    Relay(monitoring_port, public).install(app)
    return app
