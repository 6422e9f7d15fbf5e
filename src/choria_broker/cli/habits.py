"""What operators of go-choria and NATS type, and which command of this program does it."""

from __future__ import annotations

from collections.abc import Sequence

_CONNECTIONS = "choria-broker connections"
_STATUS = "choria-broker status"
_STREAMS = "choria-broker streams"

_HABITS = (
    ("server check", "choria-broker check-health", "system"),
    ("server report connections", _CONNECTIONS, "system"),
    ("server report conn", _CONNECTIONS, "system"),
    ("server report jetstream", _STREAMS, "system"),
    ("server request kick", "choria-broker kick", "system"),
    ("server config reload", "choria-broker reload", "system"),
    ("server watch", "choria-broker top", "system"),
    ("server", _STATUS, "system"),
    ("srv", _STATUS, "system"),
    ("account report connections", _CONNECTIONS, "choria"),
    ("account", _STATUS, "choria"),
    ("stream subjects", f"{_STREAMS} contents", "choria"),
    ("stream purge", f"{_STREAMS} purge", "choria"),
    ("stream", _STREAMS, "choria"),
    ("str", _STREAMS, "choria"),
    ("consumer", "", "choria"),
    ("kv", "", "choria"),
    ("object", "", "choria"),
    ("rtt", "", "choria"),
    ("pub", "", "choria"),
    ("publish", "", "choria"),
    ("sub", "", "choria"),
    ("subscribe", "", "choria"),
    ("request", "", "choria"),
    ("req", "", "choria"),
    ("reply", "", "choria"),
    ("bench", "", "choria"),
)
"""What ``choria broker`` and ``nats`` have, the longer first; our command, empty without one; and the account."""


def hint_for(arguments: Sequence[str]) -> str:
    """Say which command does what was typed; empty for what neither go-choria nor NATS has."""
    typed = " ".join(each for each in arguments if not each.startswith("-"))
    for words, command, account in _HABITS:
        if f"{typed} ".startswith(f"{words} "):
            name = {"system": "choria-system", "choria": "choria"}[account]
            shown = " ".join(arguments[: len(words.split()) + 1])
            ours = f"for '{words}' this program has {command}; " if command else ""
            return (
                f"{ours}the nats command line does it with the context that choria-broker context {account} writes: "
                f"nats --context {name} {shown}"
            )
    return ""
