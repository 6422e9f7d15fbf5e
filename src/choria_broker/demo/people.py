"""Who is in the demonstration."""

from __future__ import annotations

DOMAIN = "demo.example.net"
BROKER = f"broker.{DOMAIN}"
"""Identity of the demonstration broker."""

CLIENT = "demo.mcollective"
"""Name in the demonstration client's certificate."""

COLLECTIVE = "mcollective"

_SIZES = {"web": 8, "app": 6, "db": 4, "cache": 2}

SERVERS = tuple(f"{kind}{number}.{DOMAIN}" for kind, size in _SIZES.items() for number in range(1, size + 1))
"""Identities of the simulated servers."""

CALLERS = ("alice", "bob")
"""Who asks the fleet, each with a token of their own."""

REFUSED = "mallory"
"""Whose token has expired, and who tries again and again."""

SLOW = "reports"
"""Who subscribes and does not read."""

MEASUREMENTS = "demo.measurements"
"""What it subscribes to."""


def caller_id(name: str) -> str:
    """Return the caller id of somebody with a client token."""
    return f"up={name}"
