"""An engine that one program was running, and that another goes on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from choria_broker.engine.counters import GateCounters
from choria_broker.values import Discreet

ENGINE = "engine"
"""Name of the engine where it is left to the next program."""


class LeftEngine(Discreet, frozen=True, kw_only=True):
    """What has to be known of an engine to go on with it, besides its gate.

    Attributes:
        pid: process id.
        since: when it started, Unix seconds.
        nats: version of the nats-server library in it.
        bridge_secret: opens the bridge.
        directory: its run directory.
        sockets: names of the sockets in there.
        text: its configuration.
        begun: what came of a line of its log that has no end yet.
        protocol: version of the gate's protocol that it speaks.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"bridge_secret", "text", "begun"})

    pid: int
    since: float
    nats: str
    bridge_secret: str
    directory: Path
    sockets: tuple[str, ...]
    text: str
    begun: bytes = b""
    protocol: int = 0


class HeldGate(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known to go on with a gate that was stopped between two frames, besides its socket.

    Attributes:
        generation: number of the policy that the engine knows.
        answer_within_ms: deadline of a question, as the engine was told at its start.
        calls: number of the last call of each kind; a late answer to one of them may come.
        ports: what the engine listens on, by listener.
        counters: what happened so far.
        unread: what arrived and was not handled: whole frames, and the beginning of one.
    """

    generation: int
    answer_within_ms: int
    calls: Mapping[str, int]
    ports: Mapping[str, int]
    counters: GateCounters = msgspec.field(default_factory=GateCounters)
    unread: bytes = b""
