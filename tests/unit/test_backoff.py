from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.backoff import STEPS, pause


def test_the_steps_go_up_to_twenty_seconds() -> None:
    milliseconds = [round(step * 1000) for step in STEPS]
    assert milliseconds[:14] == [500, 750, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000, 5500, 5750, 6000]
    quarters = [750, 5750, 10750, 15750]
    assert milliseconds == sorted({*range(500, 20001, 500), *quarters})


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [(1, 0.5, 0.75), (1, 0.0, 0.375), (2, 0.5, 1.0), (3, 0.5, 1.5), (10_000, 0.5, 20.0), (10_000, 0.0, 10.0)],
)
def test_pauses(attempt: int, chance: float, seconds: float) -> None:
    assert pause(attempt, lambda: chance) == pytest.approx(seconds)


@given(st.integers(1, 1000), st.randoms(use_true_random=False))
def test_pauses_stay_around_their_step(attempt: int, chance: random.Random) -> None:
    step = STEPS[min(attempt, len(STEPS) - 1)]
    assert 0.5 * step <= pause(attempt, chance.random) <= 1.5 * step
    assert pause(attempt, lambda: 0.5) <= pause(attempt + 1, lambda: 0.5)
