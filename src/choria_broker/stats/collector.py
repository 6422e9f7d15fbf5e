"""Hands families to the registry of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import Metric
from prometheus_client.registry import Collector

from choria_broker.stats.families import Family, MetricType


class FamilyCollector(Collector):
    """Collects families that are made anew each time.

    Args:
        families: makes them; it must not wait for anything.
    """

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        """Remember who makes the families."""
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return all families, those without samples too."""
        return [_metric(family) for family in self._families()]


def _metric(family: Family) -> Metric:
    # The library adds this ending to the names of counters when it writes them.
    name = family.name.removesuffix("_total") if family.kind is MetricType.COUNTER else family.name
    metric = Metric(name, family.text, family.kind.value)
    for sample in family.samples:
        metric.add_sample(family.name + sample.suffix, dict(sample.labels), sample.value)
    return metric
