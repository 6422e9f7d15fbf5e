"""Durations counted in classes."""

from __future__ import annotations

import bisect

import msgspec


class Histogram(msgspec.Struct):
    """Counts durations.

    Attributes:
        bounds: upper bounds of the classes in seconds, ascending.
        counts: durations in each class; the last one is for those above every bound.
        seconds: all durations together.
    """

    bounds: tuple[float, ...]
    counts: list[int] = msgspec.field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Start with nothing counted, unless counts in classes of these bounds are given."""
        if len(self.counts) != len(self.bounds) + 1:
            self.counts = [0] * (len(self.bounds) + 1)

    @property
    def total(self) -> int:
        """All durations that were counted."""
        return sum(self.counts)

    def add(self, seconds: float) -> None:
        """Count one duration; below 0, as when a clock is set back, it is 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect.bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds
