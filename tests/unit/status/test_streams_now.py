"""Streams in words: what somebody should look into, and what the status shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.stats.readings import Streams
from choria_broker.stats.standings import Copy, Standing, Standings
from choria_broker.status.streams_now import StoreRoom, concerns, in_words, streams_now
from choria_broker.values import replace

GOOD = Standing("choria", "A", "b1", (Copy("b2", 1.0),), grouped=True)
STALLED = replace(GOOD, copies=(Copy("b2", 9.0),))
OBSTACLE = "too few copies respond; no response from b2"
MIB = 1 << 20


def named(standing: Standing, *names: str) -> tuple[Standing, ...]:
    return tuple(replace(standing, stream=name) for name in names)


def told(*streams: Standing, meta: Standing | None = None, standard: str = "ABCDE") -> list[str]:
    return list(concerns(Standings(meta, streams), {("choria", name) for name in standard}))


def test_nothing_is_said_of_what_is_well_or_not_known() -> None:
    assert told(GOOD) == []
    assert list(concerns(None, ())) == []
    assert streams_now(None, ()) is None


def test_streams_with_one_cause_are_one_sentence() -> None:
    assert told(*named(STALLED, *"ABCDE")) == [
        f"streams A, B, C and 2 more of account choria cannot be written: {OBSTACLE}"
    ]
    assert told(STALLED) == [f"stream A of account choria cannot be written: {OBSTACLE}"]


def test_the_cluster_comes_first() -> None:
    meta = Standing(leader="", grouped=True, doubtful_for=9.0)
    assert told(STALLED, meta=meta)[0] == "no stream can be made or changed in this cluster: no member leads"


@pytest.mark.parametrize(
    "late", [Copy("b3", 9.0), Copy("b3", 1.0, current=False, lag=1000), Copy("b3", 0.1, offline=True)]
)
def test_a_copy_that_is_silent_or_far_behind(late: Copy) -> None:
    standing = replace(GOOD, copies=(Copy("b2", 1.0), late))
    assert told(standing) == ["the copy of stream A of account choria on b3 is silent or far behind"]


def test_a_copy_that_is_a_little_behind_is_of_no_concern() -> None:
    assert told(replace(GOOD, copies=(Copy("b2", 1.0, current=False, lag=999),))) == []
    assert told(replace(GOOD, leads=False, leader="b2", copies=(Copy("b2", 1.0), Copy("b3")))) == []


def test_others_are_counted_and_the_worst_is_named() -> None:
    late = replace(GOOD, stream="Y", copies=(Copy("b2", 1.0), Copy("b3", 9.0)))
    stalled = replace(STALLED, stream="Z")
    assert told(GOOD, late) == [
        "1 of the 1 other streams has problems: a copy of stream Y of account choria on b3 is silent or far behind"
    ]
    assert told(GOOD, late, stalled) == [
        f"2 of the 2 other streams have problems: stream Z of account choria cannot be written: {OBSTACLE}"
    ]
    found = streams_now(Standings(None, (GOOD, late, stalled)), {("choria", "A")})
    assert found is not None
    assert (found.others, found.others_not_writable, found.others_behind) == (2, 1, 1)
    assert [each.stream for each in found.standard] == ["A"]


def test_who_is_connected_and_not_heard_of_has_a_trouble_of_its_own() -> None:
    silent = (Copy("b2", 9.0), Copy("b3", 9.0))
    alone = replace(STALLED, copies=silent)
    for connected in ((), ("b2",)):
        assert list(concerns(Standings(None, (alone,)), {("choria", "A")}, connected)) == [
            f"stream A of account choria cannot be written: {alone.obstacle}"
        ]
    (told,) = concerns(Standings(None, (alone,)), {("choria", "A")}, ("b2", "b3"))
    assert told.startswith(f"stream A of account choria cannot be written: {alone.obstacle}, though connected; choria-")


def test_a_stream_in_words() -> None:
    def words(standing: Standing) -> str:
        found = streams_now(Standings(standing, (standing,)), {("choria", "A")})
        assert found is not None
        assert found.meta == found.standard[0]
        return in_words(found.standard[0])

    assert words(GOOD) == "writable, leader b1, 2 copies, all in step"
    assert words(STALLED) == f"cannot be written: {OBSTACLE}"
    assert words(replace(GOOD, leader="")) == "writable, no leader at this moment"
    assert words(replace(GOOD, leader="b2", leads=False)) == "writable, leader b2"
    behind = (Copy("b2", 1.0, current=False, lag=7), Copy("b3", 9.0))
    assert words(replace(GOOD, copies=behind)) == "writable, leader b1, 3 copies, b2 7 behind, b3 silent"


def test_a_disk_that_is_full_before_the_streams_have_what_they_may_take() -> None:
    streams = Streams(enabled=True, store_max=100 * MIB, store_used=40 * MIB)
    assert StoreRoom(Path("/s"), 60 * MIB, streams).shortage == ""
    assert StoreRoom(Path("/s"), 59 * MIB, streams).shortage == (
        "the disk of the store /s has 59.0 MiB left, less than the 60.0 MiB that streams may still use (40.0 MiB used "
        "of at most 100.0 MiB); free disk space there, or lower the retention of streams"
    )


def test_a_disk_with_little_room_while_nobody_asks_the_engine() -> None:
    assert StoreRoom(Path("/s")).shortage == ""
    assert StoreRoom(Path("/s"), 256 * MIB).shortage == ""
    assert StoreRoom(Path("/s"), 255 * MIB).shortage.startswith(
        "the disk of the store /s has 255.0 MiB left, less than 256.0 MiB; free"
    )
