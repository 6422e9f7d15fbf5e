"""What tests of the dashboard's pages share."""

from __future__ import annotations

from typing import Any

import msgspec

from choria_broker.access.session import Departed, Holder, Session, Traffic
from choria_broker.access.verdict import Step
from choria_broker.audit.decided import Decision
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Origin
from choria_broker.status.document import Status
from choria_broker.ui.page import Asked
from choria_broker.values import replace
from support.ready_settings import settings as ready_settings
from support.statuses import STATUS

NOW = 1_790_000_000.0
HOSTILE = "<img src=x onerror=alert(1)>\"'&"
"""What somebody may call himself."""


def status_of(**fields: Any) -> Status:
    """Make the status of a broker that is well, but for some fields."""
    return msgspec.structs.replace(STATUS, **fields)


def session(number: int, name: str = "", /, *, messages: int = 0, **fields: Any) -> Session:
    """Make a connection of a server."""
    told: dict[str, Any] = {
        "connection": number,
        "kind": "client",
        "address": f"192.0.2.{number % 250}",
        "account": "choria",
        "username": name or f"web{number}.example.net",
        "tls": "anon",
        "since": NOW - 100,
        "holder": Holder(identity=name or f"web{number}.example.net", method="token", rule="server-token"),
        "traffic": Traffic(number / 1000, number, messages, messages * 10, messages, messages * 10),
    }
    return Session(**{**told, **fields})


def departed(number: int, name: str = "", /, **fields: Any) -> Departed:
    """Make a connection that has ended."""
    gone = {"number": number, "until": NOW - 50, "reason": "Client Closed", **fields}
    return Departed(**{**msgspec.structs.asdict(session(number, name)), **gone})


def decision(number: int, *, allowed: bool = False, rule: str = "certificate-required", **fields: Any) -> Decision:
    """Make a decision about a connection."""
    told: dict[str, Any] = {
        "time": NOW - number,
        "connection_id": number,
        "address": "192.0.2.9",
        "kind": "client",
        "tls": "anon",
        "common_name": "",
        "serial": "",
        "fingerprint": "",
        "allowed": allowed,
        "method": "",
        "rule": rule,
        "reason": "It has no token.",
        "remedy": "" if allowed else "Give it one.",
        "account": "choria" if allowed else "",
        "username": "",
        "permissions": None,
        "trail": (Step("tls-required", "passed"), Step(rule, "accepted" if allowed else "refused: it has no token")),
        "seconds": 0.001,
    }
    return Decision(**{**told, **fields})


def settings_of(**places: int) -> Settings:
    """Make settings some of which stand in lines of a file; ``__`` stands for ``.`` in their names."""
    keys = {name.replace("__", "."): line for name, line in places.items()}
    origins = {key: Origin("/etc/choria/broker.conf", line) for key, line in keys.items()}
    return replace(ready_settings(), raw=dict.fromkeys(keys, "x"), origins=origins)


def asked(**values: str) -> Asked:
    """Ask for something."""
    return Asked(NOW, {name: (value,) for name, value in values.items()})
