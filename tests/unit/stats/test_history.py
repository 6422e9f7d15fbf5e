"""The last hour in steps."""

from __future__ import annotations

import itertools
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.waiting import Waiting
from choria_broker.audit.trail import AuditCounts
from choria_broker.host.facts import HostUse, ProcessUse
from choria_broker.stats.history import SERIES, STEPS, History, Kept, Left
from choria_broker.stats.readings import Readings, Server, Streams
from choria_broker.stats.seen import of_counts, of_readings

START = 1_700_000_000.0


def read(history: History, time: float, **values: float | None) -> None:
    history.take(time, Kept.READ_AT, {Kept(key): value for key, value in values.items()})


def counted(history: History, time: float, **values: float | None) -> None:
    history.take(time, Kept.COUNTED_AT, {Kept(key): value for key, value in values.items()})


def test_an_hour_at_ten_seconds_takes_55_kilobytes_and_never_more() -> None:
    history = History(10.0)
    before = history.bytes
    for step in range(3 * STEPS):
        read(history, START + 10 * step, connections=step, messages_in=7 * step)
        counted(history, START + 10 * step, logins=step)
    assert history.bytes == before == (STEPS + 1) * len(Kept) * 8 == 54_872
    assert len(history.drawn().times) == STEPS


def test_what_goes_up_and_down_is_drawn_as_it_was_seen() -> None:
    history = History(10.0)
    for step, connections in enumerate((5, 7, 6)):
        read(history, START + 10 * step, connections=connections)
    drawn = history.drawn()
    assert drawn.of("connections") == (5, 7, 6)
    assert drawn.times == (START, START + 10, START + 20)


def test_what_counts_up_is_drawn_as_a_rate_over_the_time_that_has_really_passed() -> None:
    history = History(10.0)
    for time, messages in ((0, 100), (10.5, 205), (20, 205), (31, 1305)):
        read(history, START + time, messages_in=messages, connections=1)
    assert history.drawn().of("messages_in") == (None, 10.0, 0.0, 100.0)


def test_cpu_is_told_in_percent_of_a_core_and_decisions_in_milliseconds() -> None:
    history = History(10.0)
    counted(history, START, broker_cpu=1.0, decisions=10, deciding=0.01)
    counted(history, START + 10, broker_cpu=1.5, decisions=20, deciding=0.03)
    counted(history, START + 20, broker_cpu=1.5, decisions=20, deciding=0.03)
    drawn = history.drawn()
    assert drawn.of("broker_cpu") == (5.0, 0.0)
    assert drawn.of("decision") == (2.0, None)


def test_of_several_looks_in_one_step_the_last_counts() -> None:
    history = History(10.0)
    for time, connections in ((0, 1), (1, 2), (2, 3), (10, 4)):
        read(history, START + time, connections=connections)
    assert history.drawn().of("connections") == (3, 4)


@pytest.mark.parametrize(("missed", "bridged"), [(1, True), (2, True), (3, False), (50, False)])
def test_a_step_or_two_without_a_look_are_bridged_and_more_are_a_gap(missed: int, bridged: bool) -> None:
    history = History(10.0)
    for step in (0, 1, 2 + missed):
        read(history, START + 10 * step, connections=4, messages_out=10 * step)
    drawn = history.drawn()
    assert (None not in drawn.of("messages_out")[1:]) is bridged
    assert (None not in drawn.of("connections")) is bridged


def test_a_count_that_begins_anew_leaves_a_gap() -> None:
    history = History(10.0)
    for step, messages in enumerate((1000, 1100, 50, 150)):
        read(history, START + 10 * step, messages_in=messages, connections=1)
    assert history.drawn().of("messages_in") == (None, 10.0, None, 10.0)


@pytest.mark.parametrize("jump", [-3600.0, 7200.0, 10**9])
def test_after_a_jump_of_the_clock_it_begins_anew(jump: float) -> None:
    history = History(10.0)
    read(history, START, connections=1)
    read(history, START + jump, connections=2)
    assert history.drawn().of("connections") == (2,)


def test_a_clock_that_goes_back_by_a_moment_disturbs_nothing() -> None:
    history = History(10.0)
    read(history, START, connections=1)
    read(history, START - 0.5, connections=2)
    assert history.drawn().of("connections") == (2, 1)


def test_only_what_is_new_can_be_asked_for() -> None:
    history = History(10.0)
    for step in range(5):
        read(history, START + 10 * step, connections=step)
    assert history.drawn().after(START + 20).of("connections") == (3, 4)
    assert history.drawn().after(START + 40).times == ()


def test_the_next_program_goes_on_with_it() -> None:
    before, after = History(10.0), History(10.0)
    for step in range(4):
        read(before, START + 10 * step, connections=step, messages_in=100 * step)
    packed = msgspec.msgpack.encode(before.left)
    after.go_on(msgspec.msgpack.decode(packed, type=Left))
    read(after, START + 40, connections=9, messages_in=400)
    assert after.drawn().of("connections") == (0, 1, 2, 3, 9)
    assert after.drawn().of("messages_in")[1:] == (10.0, 10.0, 10.0, 10.0)


@pytest.mark.parametrize("left", [Left(5.0, 1, {}), Left(10.0, 3, {"connections": b"short"}), Left(10.0, 3, {})])
def test_what_another_version_left_in_another_form_is_forgotten(left: Left) -> None:
    history = History(10.0)
    history.go_on(left)
    read(history, START, connections=1)
    assert history.drawn().of("connections") == (1,)


def test_before_the_first_look_there_is_nothing_to_draw() -> None:
    assert History(10.0).drawn().times == ()


def test_what_readings_and_counts_tell_is_kept() -> None:
    history = History(10.0)
    for step in range(2):
        server = Server(connections=3, in_msgs=step, out_msgs=step, in_bytes=step, out_bytes=step, slow_consumers=step)
        history.take(
            START + 10 * step, Kept.READ_AT, of_readings(Readings(server, streams=Streams(True, store_used=7)))
        )
        counts = AuditCounts()
        counts.decisions["accepted", "provisionee"] += 10 * step
        counts.decisions["refused", "anything"] += 5 * step
        counts.engine_refusals["timeout"] += 5 * step
        counts.latency.counts[0], counts.latency.seconds = step, step / 1000
        use = HostUse(1, None, 9, ProcessUse(step, 2), ProcessUse(step, 3))
        history.take(START + 10 * step, Kept.COUNTED_AT, of_counts(counts, use, Waiting(nodes=4)))
    drawn = history.drawn()
    latest = {series.name: drawn.of(series.name)[-1] for series in SERIES}
    assert latest == {
        "connections": 3,
        "logins": 1.0,
        "refusals": 1.0,
        "messages_in": 0.1,
        "messages_out": 0.1,
        "bytes_in": 0.1,
        "bytes_out": 0.1,
        "broker_cpu": 10.0,
        "engine_cpu": 10.0,
        "broker_memory": 2,
        "engine_memory": 3,
        "slow_consumers": 6.0,
        "decision": 1.0,
        "store": 7,
        "nodes": 4,
        "node_logins": 60.0,
    }


def test_where_the_engine_decides_its_own_count_of_logins_is_kept() -> None:
    assert of_counts(AuditCounts(), None, None, logins=12)[Kept.LOGINS] == 12


_looks = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=40),
        st.sampled_from(("connections", "messages_in", "bytes_out")),
        st.one_of(st.none(), st.floats(min_value=0, max_value=1e15)),
    ),
    max_size=60,
)


@given(looks=_looks)
def test_whatever_is_seen_it_is_bounded_and_can_be_drawn(looks: list[tuple[float, str, float | None]]) -> None:
    history = History(10.0, 12)
    times = itertools.accumulate((each[0] for each in looks), initial=START)
    for time, (_, key, value) in zip(times, looks, strict=False):
        read(history, time, **{key: value})
    drawn = history.drawn()
    assert len(drawn.times) <= 12
    assert list(drawn.times) == sorted(drawn.times)
    for series in SERIES:
        values = drawn.of(series.name)
        assert len(values) == len(drawn.times)
        assert all(value is None or (math.isfinite(value) and value >= 0) for value in values)
