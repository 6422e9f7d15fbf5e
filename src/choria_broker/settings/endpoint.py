"""A place to connect to."""

from __future__ import annotations

import msgspec

from choria_broker.settings.hostnames import authority, url_authority
from choria_broker.settings.secret import Secret


class Endpoint(msgspec.Struct, frozen=True):
    """A place to connect to: ``scheme://host:port`` with optional login.

    Attributes:
        scheme: ``nats``, ``nats-leaf``, ``ws`` or ``wss``.
        host: name or address, in the one spelling that ``hostnames`` gives it.
        port: 1 to 65535.
        user: login name, empty when there is none.
        password: login password, None when there is none.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: Secret | None = None

    @property
    def authority(self) -> str:
        """``host:port`` with IPv6 in brackets and without the login."""
        return authority(self.host, self.port)

    def __str__(self) -> str:
        """Write the URL without the login, fit for logs and for the engine."""
        return f"{self.scheme}://{url_authority(self.host, self.port)}"
