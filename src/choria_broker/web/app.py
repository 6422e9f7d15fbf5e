"""The statistics application: Choria's pages and the engine's, for one port or to be mounted in another application."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from choria_broker.engine.life import EngineLife
from choria_broker.patterns import expression
from choria_broker.settings.broker import Settings
from choria_broker.stats.exposition import CONTENT_TYPE
from choria_broker.stats.service import BrokerStatistics
from choria_broker.status.overview import StatusReporter
from choria_broker.ui.page import Knowledge
from choria_broker.web.host_guard import readers
from choria_broker.web.instance import document
from choria_broker.web.relay import Relay
from choria_broker.web.status import status_pages
from choria_broker.web.ui import dashboard

_TAKES_GZIP = expression(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)
"""What a browser or Prometheus says that takes compressed answers; a quality of 0 says that it does not."""


def create_app(
    instance: Callable[[], Mapping[str, object]],
    metrics: Callable[[], bytes],
    engine_pages: Callable[[], str],
    *,
    public: tuple[str, int] | None = None,
    connections: Callable[[], int] | None = None,
    pages: Mapping[str, Handler] | None = None,
    every_method: Mapping[str, Handler] | None = None,
) -> web.Application:
    """Build the application.

    Args:
        instance: gives the instance document anew for each request.
        metrics: writes the metrics anew for each request, in a thread of its own.
        engine_pages: tells the address of the engine's monitoring pages, empty while there are none.
        public: address and port of the statistics port, as the engine's pages are to tell them; None leaves its own.
        connections: tells how many clients can connect, as ``/varz`` is to tell it; None leaves the engine's number.
        pages: further pages for GET and HEAD by path, which come before the instance document.
        every_method: those that judge the method themselves.
    """

    async def show_instance(_request: web.Request) -> web.Response:
        text = json.dumps(instance(), separators=(",", ":"), ensure_ascii=False)
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def show_metrics(request: web.Request) -> web.Response:
        # With thousands of leafnodes it takes as long as connections have to be decided.
        text = await asyncio.to_thread(metrics)
        response = web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
        if _TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    app = web.Application()
    for path in ("/metrics", "/choria/prometheus", "/choria/metrics"):
        app.router.add_route("*", path, show_metrics)
    for path, page in (pages or {}).items():
        app.router.add_get(path, page)
        app.router.add_route("*", path, _only_read)
    for path, page in (every_method or {}).items():
        app.router.add_route("*", path, page)
    app.router.add_route("*", "/choria", _to_folder)
    app.router.add_route("*", "/choria/{rest:.*}", show_instance)
    Relay(engine_pages, public, connections).install(app)
    return app


async def _only_read(request: web.Request) -> web.Response:
    raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD"))


async def _to_folder(request: web.Request) -> web.Response:
    raise web.HTTPMovedPermanently(f"{request.path}/")


def broker_app(
    settings: Callable[[], Settings],
    engine: EngineLife,
    statistics: BrokerStatistics,
    reporter: StatusReporter,
    known: Knowledge,
) -> web.Application:
    """Make the application of a broker.

    Args:
        settings: gives what the broker was told, as far as it is in force.
        engine: its engine.
        statistics: what it measures.
        reporter: tells how it is.
        known: what its dashboard shows.
    """
    told = settings().statistics
    may_read = readers(lambda: settings().statistics.ui, settings().identity, told.address)
    pages = status_pages(
        lambda: msgspec.json.encode(reporter.overview()),
        reporter.health,
        may_read,
    )
    return create_app(
        lambda: document(settings(), engine, statistics.most_connections),
        statistics.page,
        lambda: engine.pages,
        public=(told.address, told.port) if told.port else None,
        connections=lambda: statistics.most_connections,
        pages=pages,
        every_method=dashboard(known, may_read),
    )
