"""Two pages about how the broker is: everything, for operators, and one word, for whoever watches over services."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from choria_broker.status.health import Condition, Health
from choria_broker.web.host_guard import STRANGER, is_local, known_hosts

STATUS = "/choria/status"
HEALTH = "/choria/healthz"

_ELSEWHERE = (
    "This page answers only requests to a loopback address of the broker's machine. Set "
    "plugin.choria.stats_ui = true to show it to everybody who can reach this port.\n"
)
_AWAY = (Condition.FAILING, Condition.DRAINING)
"""Conditions in which nobody is to be sent here."""
_NO_STORE = {"Cache-Control": "no-store"}


def status_pages(
    report: Callable[[], bytes], health: Callable[[], Health], *, everywhere: Callable[[], bool], names: tuple[str, ...]
) -> dict[str, Handler]:
    """Make the pages, by path.

    Args:
        report: gives the status as JSON anew for each request.
        health: gives the health anew for each request.
        everywhere: tells whether other machines may see the status.
        names: under which the status answers, besides addresses and ``localhost``.
    """
    knows = known_hosts(*names)

    async def show_status(request: web.Request) -> web.Response:
        if not everywhere() and not is_local(request):
            raise web.HTTPForbidden(text=_ELSEWHERE)
        if not knows(request):
            raise web.HTTPForbidden(text=STRANGER)
        return web.Response(body=report(), content_type="application/json", headers=_NO_STORE)

    async def show_health(_request: web.Request) -> web.Response:
        found = health()
        away = found.condition in _AWAY
        text = "".join(f"{reason}\n" for reason in found.reasons) if away else "ok\n"
        return web.Response(text=text, status=503 if away else 200, headers=_NO_STORE)

    return {STATUS: show_status, HEALTH: show_health}
