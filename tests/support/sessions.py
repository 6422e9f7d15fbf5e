"""Sessions to be looked at."""

from __future__ import annotations

from typing import Any

from choria_broker.access.session import Departed, Session


def session(connection: int, **told: Any) -> Session:
    """Make the session of a client with a certificate; whatever is told is otherwise."""
    return Session(connection=connection, **_usual(told))


def departed(connection: int, **told: Any) -> Departed:
    """Make such a session that has ended."""
    ended: dict[str, Any] = {"number": connection, "until": 2.0, "reason": "Client Closed"}
    return Departed(connection=connection, **ended | _usual(told))


def _usual(told: dict[str, Any]) -> dict[str, Any]:
    usual = {"kind": "client", "address": "192.0.2.1", "account": "choria", "username": "", "tls": "mtls", "since": 1.0}
    return usual | told
