"""The statistics application: Choria's pages and the engine's, for one port or to be mounted in another application."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from choria_broker.web.relay import Relay

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the metrics, the plain text format that every Prometheus reads."""


def create_app(
    instance: Callable[[], Mapping[str, object]], registry: CollectorRegistry, monitoring_port: Callable[[], int]
) -> web.Application:
    """Build the application.

    Args:
        instance: gives the instance document anew for each request.
        registry: metrics to show.
        monitoring_port: tells the loopback port of the engine's monitoring listener, 0 while there is none.
    """

    async def show_instance(_request: web.Request) -> web.Response:
        text = json.dumps(instance(), separators=(",", ":"), ensure_ascii=False)
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def show_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": METRICS_TYPE})

    async def to_folder(request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently(f"{request.path}/")

    app = web.Application()
    for path in ("/metrics", "/choria/prometheus", "/choria/metrics"):
        app.router.add_route("*", path, show_metrics)
    app.router.add_route("*", "/choria", to_folder)
    app.router.add_route("*", "/choria/{rest:.*}", show_instance)
    Relay(monitoring_port).install(app)
    return app
