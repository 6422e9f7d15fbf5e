"""Keeping web pages of elsewhere away from a port that only this machine should read."""

from __future__ import annotations

import ipaddress

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from choria_broker.config.endpoints import is_address


def is_loopback(address: str) -> bool:
    """Tell whether an address, or the name ``localhost``, is reached from this machine only."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def only_known_hosts(*names: str) -> Middleware:
    """Make a middleware that answers only requests whose Host is an address, ``localhost`` or one of the names.

    A browser can be led to ask a loopback port under a name of the attacker's choice, and then lets his page read the
    answer; such a request carries that name.
    """
    known = frozenset({"localhost", *(name.lower() for name in names)})

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.url.host or ""
        if host.lower() not in known and not is_address(host):
            raise web.HTTPForbidden(text="This port does not answer under that name.\n")
        return await handler(request)

    return guard
