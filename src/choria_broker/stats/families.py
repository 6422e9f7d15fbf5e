"""Families of metrics as plain values: what one metric is, and what it is made of at one moment."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from choria_broker.histogram import Histogram

Values = (
    float
    | Histogram
    | Mapping[str, float]
    | Mapping[tuple[str, str], float]
    | Mapping[tuple[str, str, str], float]
    | Mapping[tuple[str, str, str, str], float]
    | None
)
"""What a metric shows: one number, durations, or a number for each value of its one label, or of its labels."""

_T = TypeVar("_T")


class MetricType(enum.StrEnum):
    """Types of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


class Sample(msgspec.Struct, frozen=True):
    """One line of a family.

    Attributes:
        value: its value.
        labels: its labels.
        suffix: what is added to the name of the family, such as ``_sum``.
    """

    value: float
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    suffix: str = ""


class Family(msgspec.Struct, frozen=True):
    """A metric with all its samples; its name is shown as it is, whatever the type.

    Attributes:
        name, kind: what it is.
        text: one sentence about it.
        samples: none means that the family is not shown.
    """

    name: str
    kind: MetricType
    text: str
    samples: tuple[Sample, ...]


class Metric(msgspec.Struct, Generic[_T], frozen=True):
    """What one metric is.

    Attributes:
        name, kind: as they are shown.
        text: one sentence about it.
        values: takes what it shows from what was measured; None and an empty mapping mean that it is not shown.
        labels: names of the labels that tell its samples apart.
    """

    name: str
    kind: MetricType
    text: str
    values: Callable[[_T], Values]
    labels: tuple[str, ...] = ()

    def family(self, measured: _T, common: Mapping[str, str]) -> Family:
        """Make the family.

        Args:
            measured: what was measured.
            common: labels that every sample has.
        """
        values = self.values(measured)
        if values is None:
            samples: tuple[Sample, ...] = ()
        elif isinstance(values, Histogram):
            samples = tuple(_distribution(values, common))
        elif isinstance(values, Mapping):
            # Others may count meanwhile; copying is one step of the interpreter.
            samples = tuple(self._sample(key, value, common) for key, value in dict(values).items())
        else:
            samples = (Sample(values, common),)
        return Family(self.name, self.kind, self.text, samples)

    def _sample(self, key: str | tuple[str, ...], value: float, common: Mapping[str, str]) -> Sample:
        told = (key,) if isinstance(key, str) else key
        return Sample(value, {**common, **dict(zip(self.labels, told, strict=True))})


def _distribution(durations: Histogram, labels: Mapping[str, str]) -> Iterator[Sample]:
    """Make the samples of a histogram; without classes they are those of a summary."""
    total, seconds, counts = 0, durations.seconds, tuple(durations.counts)
    for bound, count in zip((*durations.bounds, None), counts, strict=True):
        total += count
        if durations.bounds:
            yield Sample(total, {**labels, "le": "+Inf" if bound is None else str(bound)}, "_bucket")
    yield Sample(seconds, labels, "_sum")
    yield Sample(total, labels, "_count")
