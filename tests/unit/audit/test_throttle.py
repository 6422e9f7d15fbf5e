"""Refusals by address: counted in bounded memory, logged at a bounded rate, and nothing lost from the sums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.audit.throttle import OTHERS, Bounds, RefusalThrottle, Summary, site

SMALL = Bounds(window=60.0, in_full=2, in_full_together=5, addresses=3, summaries=2)


def test_the_first_of_an_address_are_logged_and_the_rest_summed_up() -> None:
    refusals = RefusalThrottle(Bounds(in_full=2))
    logged = [refusals.note("192.0.2.1", "token-nonce", 100.0 + second) for second in range(5)]

    assert logged == [True, True, False, False, False]
    assert refusals.summaries(159.9) == ()
    assert refusals.summaries(160.0) == (Summary("192.0.2.1", 3, {"token-nonce": 5}),)
    assert refusals.summaries(160.0) == ()


def test_each_window_begins_anew() -> None:
    refusals = RefusalThrottle(Bounds(in_full=1))

    assert [refusals.note("192.0.2.1", "a", now) for now in (0.0, 1.0, 60.0, 61.0)] == [True, False, True, False]
    assert refusals.summaries(61.0) == (Summary("192.0.2.1", 1, {"a": 2}),)
    assert refusals.summaries(61.0, final=True) == (Summary("192.0.2.1", 1, {"a": 2}),)


def test_what_was_logged_in_full_needs_no_summary() -> None:
    refusals = RefusalThrottle()
    refusals.note("192.0.2.1", "a", 0.0)

    assert refusals.summaries(1000.0, final=True) == ()


def test_many_addresses_share_the_lines_and_the_summaries() -> None:
    refusals = RefusalThrottle(SMALL)
    logged = [refusals.note(f"192.0.2.{host}", "a", 0.0) for host in range(10) for _ in range(4)]

    assert sum(logged) == 5
    summaries = refusals.summaries(60.0)
    assert [summary.address for summary in summaries[-1:]] == [OTHERS]
    assert len(summaries) == 3
    assert sum(summary.refusals for summary in summaries) == 35
    assert sum(summary.rules["a"] for summary in summaries) == 40


def test_a_clock_set_back_begins_a_window() -> None:
    refusals = RefusalThrottle(Bounds(in_full=1))
    refusals.note("192.0.2.1", "a", 1000.0)

    assert refusals.note("192.0.2.1", "a", 10.0)


def test_the_latest_addresses_are_known_with_their_rules() -> None:
    refusals = RefusalThrottle(SMALL)
    for host in range(5):
        refusals.note(f"192.0.2.{host}", "a", float(host))
    refusals.note("192.0.2.3", "b", 9.0)
    latest, *others = refusals.most_refused(10)

    assert (latest.address, latest.refusals, latest.last, latest.rules) == ("192.0.2.3", 2, 9.0, {"a": 1, "b": 1})
    assert [other.address for other in others] == ["192.0.2.4", "192.0.2.2"]
    assert len(refusals.most_refused(1)) == 1


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_places(address: str, place: str) -> None:
    assert site(address) == place


EVENTS = st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ab"), st.floats(0, 30)), max_size=200)


@given(EVENTS)
def test_every_refusal_is_logged_or_summed_up(events: list[tuple[int, str, float]]) -> None:
    refusals = RefusalThrottle(SMALL)
    now, logged, summed = 0.0, 0, 0
    for host, rule, pause in events:
        now += pause
        logged += refusals.note(f"192.0.2.{host}", rule, now)
        summaries = refusals.summaries(now)
        assert len(summaries) <= SMALL.summaries + 1
        summed += sum(summary.refusals for summary in summaries)
    summed += sum(summary.refusals for summary in refusals.summaries(now, final=True))

    assert logged + summed == len(events)
    assert len(refusals.most_refused(100)) <= SMALL.addresses
