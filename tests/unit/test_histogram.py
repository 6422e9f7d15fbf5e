"""Durations counted in classes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.histogram import Histogram


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (-1.0, 0), (0.1, 0), (0.11, 1), (1.0, 1), (1.1, 2), (99.0, 2)]
)
def test_a_duration_is_counted_in_the_first_class_that_holds_it(seconds: float, place: int) -> None:
    latency = Histogram((0.1, 1.0))
    latency.add(seconds)
    assert [index for index, count in enumerate(latency.counts) if count] == [place]
    assert latency.seconds == max(seconds, 0.0)


@given(st.lists(st.floats(0, 10)))
def test_every_duration_is_counted_once(durations: list[float]) -> None:
    latency = Histogram((0.01, 0.5, 2.0))
    for each in durations:
        latency.add(each)
    assert sum(latency.counts) == latency.total == len(durations)
    assert latency.seconds == pytest.approx(sum(durations))
