from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.streams.replicas import EVERY_PEER, MOST_COPIES, copies, first_wait


@pytest.mark.parametrize(
    ("wanted", "peers", "expected"),
    [
        (EVERY_PEER, 0, 1),
        (EVERY_PEER, 1, 1),
        (EVERY_PEER, 2, 2),
        (EVERY_PEER, 3, 3),
        (EVERY_PEER, 4, 4),
        (EVERY_PEER, 5, 5),
        (EVERY_PEER, 7, 5),
        (1, 0, 1),
        (3, 0, 1),
        (1, 3, 1),
        (3, 3, 3),
        (5, 3, 5),
        (9, 9, 5),
    ],
)
def test_copies(wanted: int, peers: int, expected: int) -> None:
    assert copies(wanted, peers) == expected


@given(st.integers(1, 100) | st.just(EVERY_PEER), st.integers(0, 100))
def test_the_engine_accepts_every_number_of_copies(wanted: int, peers: int) -> None:
    assert 1 <= copies(wanted, peers) <= MOST_COPIES
    assert peers or copies(wanted, peers) == 1


@pytest.mark.parametrize("wanted", [(), (EVERY_PEER,), (1, 3), (EVERY_PEER, 3)])
@pytest.mark.parametrize("peers", [0, 1])
def test_a_broker_that_races_nobody_starts_at_once(wanted: tuple[int, ...], peers: int) -> None:
    assert first_wait(wanted, peers, lambda: 0.999) == 0


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 10), (0.5, 40), (0.999999, 69)])
@pytest.mark.parametrize("wanted", [(EVERY_PEER,), (3, EVERY_PEER, 1)])
def test_copies_that_depend_on_peers_wait_long(wanted: tuple[int, ...], chance: float, seconds: int) -> None:
    assert first_wait(wanted, 2, lambda: chance) == seconds


@given(st.integers(2, 9), st.randoms(use_true_random=False))
def test_members_of_a_cluster_wait_within_bounds(peers: int, chance: random.Random) -> None:
    long = first_wait((EVERY_PEER, 1), peers, chance.random)
    assert 10 <= long <= 69
    assert long == int(long)
    assert 0 <= first_wait((3, 1), peers, chance.random) <= 5


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 0.0), (0.5, 2.5), (0.12345, 0.617)])
def test_copies_that_are_fixed_wait_a_little(chance: float, seconds: float) -> None:
    assert first_wait((3, 1), 2, lambda: chance) == seconds


def test_every_whole_second_is_as_likely() -> None:
    assert [first_wait((EVERY_PEER,), 3, lambda part=part: part / 60) for part in range(60)] == list(range(10, 70))  # type: ignore[misc] # mypy cannot infer a lambda with a default
