"""What a companion process counts, in plain objects, and how it is told to the broker."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping

Labels = tuple[str, ...]
Counts = Mapping[str, Mapping[Labels, float]]
"""Numbers by family and labels."""

Told = list[tuple[Labels, float]]
"""The numbers of one family."""

_BESIDE_LABELS = 32
"""Bytes of a number in a message beside its labels."""


class Count:
    """A number that goes up; a gauge is set.

    Attributes:
        value: the number.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        """Begin at 0."""
        self.value = 0.0

    def add(self, more: float = 1.0) -> None:
        """Count."""
        self.value += more


class Timed:
    """Durations that are added up."""

    __slots__ = ("_count", "_sum")

    def __init__(self, seconds: Count, count: Count) -> None:
        """Add up in two counts."""
        self._sum, self._count = seconds, count

    def add(self, seconds: float, times: int = 1) -> None:
        """Count some that took so long together."""
        self._sum.value += seconds
        self._count.value += times


class Tally:
    """All numbers of a process."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self._counts: dict[str, dict[Labels, Count]] = collections.defaultdict(dict)

    def count(self, family: str, labels: Labels) -> Count:
        """Return the count of a family with these labels, at 0 when it is new; it is shown from now on.

        Args:
            family: name of the metric.
            labels: values of its labels but ``identity``, in the order of its row.
        """
        return self._counts[family].setdefault(labels, Count())

    def timed(self, family: str, labels: Labels) -> Timed:
        """Return the durations of a family with these labels."""
        return Timed(self.count(f"{family}_sum", labels), self.count(f"{family}_count", labels))

    def told(self) -> dict[str, Told]:
        """Return everything, as it is told to the broker."""
        return {
            family: [(labels, count.value) for labels, count in counts.items()]
            for family, counts in self._counts.items()
        }


def parts(told: Mapping[str, Iterable[tuple[Labels, float]]], longest: int) -> Iterator[dict[str, Told]]:
    """Split what a process has counted into parts that fit into a message; there is one at least.

    Args:
        told: as ``Tally.told`` returns it.
        longest: bytes of a part, about.
    """
    part: dict[str, Told] = {}
    size = 0
    for family, counts in told.items():
        for labels, value in counts:
            need = sum(map(len, labels)) + _BESIDE_LABELS
            if size + need > longest and part:
                yield part
                part, size = {}, 0
            part.setdefault(family, []).append((labels, value))
            size += need
    yield part


class Totals:
    """The numbers of one companion over all its processes, those that have ended too."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._past: dict[str, collections.Counter[Labels]] = collections.defaultdict(collections.Counter)
        self._now: dict[int, dict[str, dict[Labels, float]]] = {}

    def tell(self, process: int, counts: Mapping[str, Iterable[tuple[Labels, float]]]) -> None:
        """Take what a process has counted since it began.

        Args:
            process: which of the companion's processes it is.
            counts: as ``Tally.told`` returns it, or a part of it.
        """
        now = self._now.setdefault(process, {})
        for family, told in counts.items():
            now.setdefault(family, {}).update(told)

    def over(self, process: int, gauges: Iterable[str] = ()) -> None:
        """Keep what a process has counted: it has ended, and the next one begins at 0.

        Args:
            process: which of the companion's processes it is.
            gauges: families of which nothing is kept but that they are there.
        """
        forgotten = frozenset(gauges)
        for family, counts in self._now.pop(process, {}).items():
            for labels, value in counts.items():
                self._past[family][labels] += 0 if family in forgotten else value  # type: ignore[assignment]

    def counts(self) -> dict[str, dict[Labels, float]]:
        """Return the numbers."""
        found: dict[str, dict[Labels, float]] = {family: dict(counts) for family, counts in self._past.items()}
        for told in self._now.values():
            for family, counts in told.items():
                added = found.setdefault(family, {})
                for labels, value in counts.items():
                    added[labels] = added.get(labels, 0.0) + value
        return found

    def told(self) -> dict[str, Told]:
        """Return the numbers in the form in which processes tell them."""
        return {family: list(counts.items()) for family, counts in self.counts().items()}
