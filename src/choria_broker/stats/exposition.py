"""The metrics as text, in the format that every Prometheus reads.

The library's own writer ends the name of every counter in ``_total``. Choria's counters have no such ending, so here
a counter is called what its samples are called.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the text."""

_MOST_DIGITS = 1e15
"""Whole numbers below this are written without exponent and without decimals, and are exact."""


def exposition(registry: CollectorRegistry) -> bytes:
    """Write all metrics of a registry, sorted by name; families without samples are left out."""
    written: dict[str, list[str]] = {}
    for metric in registry.collect():
        lines = list(_samples(metric))
        if lines:
            name = _name(metric)
            about = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
            written[name] = [f"# HELP {name} {about}", f"# TYPE {name} {_kind(metric)}", *lines]
    return "".join(f"{line}\n" for name in sorted(written) for line in written[name]).encode()


def _name(metric: Metric) -> str:
    if metric.type != "counter":
        return metric.name
    return next(sample.name for sample in metric.samples if not _is_time(metric, sample.name))


def _kind(metric: Metric) -> str:
    return "untyped" if metric.type == "unknown" else metric.type


def _samples(metric: Metric) -> Iterator[str]:
    for sample in metric.samples:
        if _is_time(metric, sample.name):
            continue
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(sample.labels.items()))
        yield (
            f"{sample.name}{{{labels}}} {_number(sample.value)}" if labels else f"{sample.name} {_number(sample.value)}"
        )


def _is_time(metric: Metric, name: str) -> bool:
    """Whether a sample is the time its series began, which this format has no place for."""
    return name == f"{metric.name}_created"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if float(value).is_integer() and abs(value) < _MOST_DIGITS else repr(float(value))
