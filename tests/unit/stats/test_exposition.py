"""The text of metrics."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from choria_broker.stats.collector import FamilyCollector
from choria_broker.stats.exposition import exposition
from choria_broker.stats.families import Family, MetricType, Sample


def test_families_are_sorted_and_counters_keep_their_names() -> None:
    registry = CollectorRegistry()
    Gauge("zebra", "Last.", registry=registry).set(1.5)
    Counter("library", "With the library's ending.", ("rule",), registry=registry).labels("x").inc()
    families = [Family("choria_plain", MetricType.COUNTER, "A \\ and\na line.", (Sample(3),))]
    registry.register(FamilyCollector(lambda: families))
    assert exposition(registry).decode() == (
        "# HELP choria_plain A \\\\ and\\na line.\n"
        "# TYPE choria_plain counter\n"
        "choria_plain 3\n"
        "# HELP library_total With the library's ending.\n"
        "# TYPE library_total counter\n"
        'library_total{rule="x"} 1\n'
        "# HELP zebra Last.\n"
        "# TYPE zebra gauge\n"
        "zebra 1.5\n"
    )


def test_families_without_samples_are_left_out() -> None:
    registry = CollectorRegistry()
    Counter("silent", "Nothing yet.", ("rule",), registry=registry)
    registry.register(FamilyCollector(lambda: [Family("empty", MetricType.GAUGE, "Nothing.", ())]))
    assert exposition(registry) == b""


def test_a_histogram_has_all_its_lines() -> None:
    registry = CollectorRegistry()
    Histogram("waits", "Waiting.", buckets=(1.0,), registry=registry).observe(0.25)
    assert exposition(registry).decode() == (
        "# HELP waits Waiting.\n# TYPE waits histogram\n"
        'waits_bucket{le="1.0"} 1\nwaits_bucket{le="+Inf"} 1\nwaits_count 1\nwaits_sum 0.25\n'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (62115449856, "62115449856"),
        (-3.0, "-3"),
        (0.372, "0.372"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    registry = CollectorRegistry()
    family = Family("number", MetricType.COUNTER, "A number.", (Sample(value),))
    registry.register(FamilyCollector(lambda: [family]))
    assert exposition(registry).decode().splitlines()[-1] == f"number {text}"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")), st.floats(allow_nan=False))
def test_a_reader_gets_back_what_was_written(label: str, value: float) -> None:
    registry = CollectorRegistry()
    family = Family("family", MetricType.GAUGE, "A family.", (Sample(value, {"name": label}),))
    registry.register(FamilyCollector(lambda: [family]))
    text = exposition(registry).decode()
    ((sample,),) = [each.samples for each in text_string_to_metric_families(text)]
    assert (sample.labels, sample.value) == ({"name": label}, value)
