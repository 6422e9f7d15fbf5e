"""Two pages about how the broker is: everything, for operators, and one word, for whoever watches over services."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from choria_broker.stats.health import Condition, Health
from choria_broker.web.host_guard import STRANGER, is_local, known_hosts

STATUS = "/choria/status"
HEALTH = "/choria/healthz"

_ELSEWHERE = (
    "This page is for requests to a loopback address of the broker's machine. "
    "With plugin.choria.stats_ui = true it is for everybody who reaches this port.\n"
)
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
        failing = found.condition is Condition.FAILING
        text = "".join(f"{reason}\n" for reason in found.reasons) if failing else "ok\n"
        return web.Response(text=text, status=503 if failing else 200, headers=_NO_STORE)

    return {STATUS: show_status, HEALTH: show_health}
