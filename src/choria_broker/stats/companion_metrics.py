"""The metrics of adapters and the federation broker: those of the original, and how their processes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from choria_broker.companions.metrics import ROWS, Row
from choria_broker.companions.reports import CompanionReport, State
from choria_broker.companions.tally import Counts
from choria_broker.stats.families import Family, MetricType, Sample
from choria_broker.stats.measured import Take, counter, gauge


def _each(number: Callable[[CompanionReport], float]) -> Take:
    return lambda at: {(each.kind, each.name): number(each) for each in at.companions}


PROCESSES = (
    gauge(
        "choria_broker_companion_up",
        "1 while an adapter or the federation broker is connected on all sides, otherwise 0.",
        _each(lambda report: float(report.state == State.RUNNING)),
        "kind name",
    ),
    gauge(
        "choria_broker_companion_connections",
        "Open connections of an adapter or the federation broker, by network.",
        lambda at: {
            (each.kind, each.name, side): report.connected
            for each in at.companions
            for side, report in each.sides.items()
        },
        "kind name side",
    ),
    counter(
        "choria_broker_companion_restarts_total",
        "Processes of an adapter or the federation broker that were restarted because they had ended by themselves.",
        _each(lambda report: report.restarts),
        "kind name",
    ),
    counter(
        "choria_broker_companion_lost_total",
        "Messages that an adapter or the federation broker had accepted and not yet sent when a process of it ended.",
        _each(lambda report: report.lost),
        "kind name",
    ),
)


def companion_families(counts: Counts, common: Mapping[str, str]) -> Iterator[Family]:
    """Make the families of what companion processes count.

    Args:
        counts: what they count, by family and labels.
        common: labels that every sample has.
    """
    for row in ROWS:
        suffixes = ("_sum", "_count") if row.kind == MetricType.SUMMARY else ("",)
        samples = tuple(sample for suffix in suffixes for sample in _samples(row, suffix, counts, common))
        yield Family(row.name, MetricType(row.kind), row.text, samples)


def _samples(row: Row, suffix: str, counts: Counts, common: Mapping[str, str]) -> Iterator[Sample]:
    for labels, value in counts.get(row.name + suffix, {}).items():
        yield Sample(value, {**common, **dict(zip(row.labels, labels, strict=True))}, suffix)
