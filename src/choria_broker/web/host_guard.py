"""Keeping web pages of elsewhere, and other machines, away from what only this machine should read."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from choria_broker.config.endpoints import is_address


def is_loopback(address: str) -> bool:
    """Tell whether an address, or the name ``localhost``, is reached from this machine only."""
    if address == "localhost":
        return True
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_loopback


def is_local(request: web.Request) -> bool:
    """Tell whether a request came to a loopback address, or over a Unix socket: it is from this machine."""
    place = request.transport.get_extra_info("sockname") if request.transport else None
    if isinstance(place, tuple):
        return is_loopback(str(place[0]))
    return isinstance(place, str | bytes)


def known_hosts(*names: str) -> Callable[[web.Request], bool]:
    """Make a test for requests whose Host is an address, ``localhost`` or one of the names.

    A browser can be led to ask a port under a name of the attacker's choice, and then lets his page read the answer;
    such a request carries that name.
    """
    known = frozenset({"localhost", *(name.lower() for name in names)})

    def knows(request: web.Request) -> bool:
        host = request.url.host or ""
        return host.lower() in known or is_address(host)

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


STRANGER = "This port does not answer under that name.\n"
"""What a request under another name is told."""
