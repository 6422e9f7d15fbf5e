"""What is counted at the gate."""

from __future__ import annotations

import bisect
import dataclasses

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5)
"""Upper bounds of the classes in seconds; the last is the usual deadline of a verdict."""


@dataclasses.dataclass(slots=True)
class Latency:
    """Counts durations.

    Attributes:
        bounds: upper bounds of the classes in seconds, ascending.
        counts: durations in each class; the last one is for those above every bound.
        seconds: all durations together.
    """

    bounds: tuple[float, ...] = BOUNDS
    counts: list[int] = dataclasses.field(init=False)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Start with nothing counted."""
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """Count one duration; below 0, as when a clock is set back, it is 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect.bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds


@dataclasses.dataclass(slots=True)
class GateCounters:
    """What happened at the gate since the start.

    Attributes:
        answered: questions answered in time.
        expired: questions read after their deadline and not answered.
        oversized: verdicts too large for the protocol, answered as refusals.
        refused: refusals the engine decided itself, by cause.
        latency: time from the engine's question to its verdict.
    """

    answered: int = 0
    expired: int = 0
    oversized: int = 0
    refused: dict[str, int] = dataclasses.field(default_factory=dict)
    latency: Latency = dataclasses.field(default_factory=Latency)
