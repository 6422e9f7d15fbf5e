"""Keeping web pages of elsewhere, and other machines, away from what only this machine should read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from choria_broker.settings import hostnames


def is_loopback(address: str) -> bool:
    """Tell whether an address, or the name ``localhost``, is reached from this machine only."""
    if hostnames.comparable(address) == "localhost":
        return True
    found = hostnames.address(address)
    return found is not None and found.is_loopback


def is_local(request: web.Request) -> bool:
    """Tell whether a request came to a loopback address, or over a Unix socket: it is from this machine."""
    place = request.transport.get_extra_info("sockname") if request.transport else None
    if isinstance(place, tuple):
        return is_loopback(str(place[0]))
    return isinstance(place, str | bytes)


_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""Headers of requests that somebody passed on."""


def is_from_loopback(request: web.Request) -> bool:
    """Tell whether a program of this machine asks for itself, whatever address it asks and whatever the request says.

    What came through a proxy, and what a browser was led to under another name, is somebody else's question.
    """
    peer = request.transport.get_extra_info("peername") if request.transport else None
    near = is_loopback(str(peer[0])) if isinstance(peer, tuple) else isinstance(peer, str | bytes)
    host = request.url.host or ""
    named = hostnames.comparable(host) == "localhost" or hostnames.is_address(host)
    return near and named and not any(header in request.headers for header in _PROXIES)


def known_hosts(*names: str) -> Callable[[web.Request], bool]:
    """Make a test for requests whose Host is an address, ``localhost`` or one of the names.

    A browser can be led to ask a port under a name of the attacker's choice, and then lets his page read the answer;
    such a request carries that name.
    """
    known = frozenset({"localhost", *map(hostnames.comparable, names)})

    def knows(request: web.Request) -> bool:
        host = request.url.host or ""
        return hostnames.comparable(host) in known or hostnames.is_address(host)

    return knows


def only_known_hosts(*names: str) -> Middleware:
    """Make a middleware that answers only what ``known_hosts`` lets pass."""
    knows = known_hosts(*names)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not knows(request):
            raise web.HTTPForbidden(text=STRANGER)
        return await handler(request)

    return guard


Readers: TypeAlias = Callable[[web.Request], str]
"""Says why somebody may not read a page, empty when he may."""


def readers(everywhere: Callable[[], bool], *names: str) -> Readers:
    """Say who may read what is for operators: whoever asks from this machine, others where that is set.

    Args:
        everywhere: tells whether other machines may.
        names: under which such pages answer, besides addresses and ``localhost``.
    """
    knows = known_hosts(*names)

    def refusal(request: web.Request) -> str:
        if not everywhere() and not is_local(request):
            return _ELSEWHERE
        return "" if knows(request) else STRANGER

    return refusal


_ELSEWHERE = (
    "This page answers only requests to a loopback address of the broker's machine. Set "
    "plugin.choria.stats_ui = true to show it to everybody who can reach this port.\n"
)

STRANGER = "This port does not answer requests for that host name.\n"
"""What a request under another name is told."""
