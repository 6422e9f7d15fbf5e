"""Two pages about how the broker is: everything, for operators, and one word, for whoever watches over services."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from choria_broker.status.health import Condition, Health
from choria_broker.web.host_guard import Readers

STATUS = "/choria/status"
HEALTH = "/choria/healthz"

_AWAY = (Condition.FAILING, Condition.DRAINING)
"""Conditions in which nobody is to be sent here."""
_NO_STORE = {"Cache-Control": "no-store"}


def status_pages(report: Callable[[], bytes], health: Callable[[], Health], readers: Readers) -> dict[str, Handler]:
    """Make the pages, by path.

    Args:
        report: gives the status as JSON anew for each request.
        health: gives the health anew for each request.
        readers: who may read the status.
    """

    async def show_status(request: web.Request) -> web.Response:
        refusal = readers(request)
        if refusal:
            raise web.HTTPForbidden(text=refusal)
        return web.Response(body=report(), content_type="application/json", headers=_NO_STORE)

    async def show_health(_request: web.Request) -> web.Response:
        found = health()
        away = found.condition in _AWAY
        text = "".join(f"{reason}\n" for reason in found.reasons) if away else "ok\n"
        return web.Response(text=text, status=503 if away else 200, headers=_NO_STORE)

    return {STATUS: show_status, HEALTH: show_health}
