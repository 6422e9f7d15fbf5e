"""What is counted at the gate."""

from __future__ import annotations

import msgspec

from choria_broker.engine.events import Moving, Queue, Signings
from choria_broker.histogram import Histogram
from choria_broker.settings.listeners import DOORS

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5)
"""Upper bounds of the classes in seconds; the last is the usual deadline of a verdict."""


class GateCounters(msgspec.Struct):
    """What happened at the gate since the start.

    Attributes:
        answered: questions answered in time.
        expired: questions read after their deadline and not answered.
        oversized: verdicts too large for the protocol, answered as refusals.
        refused: refusals the engine decided itself, by cause.
        dropped: what the engine could not tell, because it was not taken in time: ``questions``, ``reports`` of
            refusals, ``engine_log_lines``.
        turned_away: connections without login that a listener had no place for, by listener.
        signings: what came of signatures that key processes made.
        queue: what comes of clients that wait for their turn, as the engine told last.
        moving: how far a drain is, as the engine told last.
        latency: time from the engine's question to its verdict.
    """

    answered: int = 0
    expired: int = 0
    oversized: int = 0
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    dropped: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(("questions", "reports", "engine_log_lines"), 0)
    )
    turned_away: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(DOORS, 0))
    signings: Signings = msgspec.field(default_factory=Signings)
    queue: Queue = msgspec.field(default_factory=Queue)
    moving: Moving = msgspec.field(default_factory=Moving)
    latency: Histogram = msgspec.field(default_factory=lambda: Histogram(BOUNDS))
