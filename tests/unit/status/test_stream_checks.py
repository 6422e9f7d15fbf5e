"""The checks of JetStream and streams for monitoring systems: what each makes of a broker's status."""

from __future__ import annotations

import msgspec
import pytest

from choria_broker.status import stream_checks
from choria_broker.status.checks import Level, Limits
from choria_broker.status.document import (
    HealthReport,
    Status,
    StoreReport,
)
from choria_broker.status.stream_checks import CopyLimits
from choria_broker.status.streams_now import StandingReport
from choria_broker.streams.report import Report, State
from support.checked import BUCKET, EVENTS, STATUS, STREAMS, numbers, told

STALLED = msgspec.structs.replace(EVENTS, writable=False, obstacle="no member leads")


def now(status: Status = STREAMS, **changes: object) -> Status:
    assert status.streams_now
    return msgspec.structs.replace(status, streams_now=msgspec.structs.replace(status.streams_now, **changes))


def test_the_meta_group_where_this_broker_leads() -> None:
    check = stream_checks.meta(STREAMS, CopyLimits(3, lag=500, seen=10))
    assert check.level is Level.OK
    assert check.words(Level.OK) == ("3 peers led by b1",)
    assert numbers(check) == {"peers": 3, "peer_lagged": 0, "peer_inactive": 0}
    assert told(stream_checks.meta(STREAMS, CopyLimits(5, lag=200, seen=5))) == {
        "CRITICAL": ("3 peers of expected 5", "1 lagged: b3", "1 silent: b3")
    }


def test_the_meta_group_where_another_leads() -> None:
    check = stream_checks.meta(now(meta=StandingReport("", "", True, "", "b2")), CopyLimits(3))
    assert check.level is Level.OK
    assert check.words(Level.OK)[0] == "3 peers led by b2"
    assert "only b2 knows" in check.words(Level.OK)[1]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (STATUS, {"UNKNOWN": ("this broker has no streams in a cluster, or they were not read yet",)}),
        (now(meta=None), {"UNKNOWN": ("this broker has no streams in a cluster, or they were not read yet",)}),
        (
            now(meta=StandingReport("", "", False, "no member leads", "")),
            {"CRITICAL": ("no member leads",)},
        ),
    ],
)
def test_the_meta_group_without_a_leader(status: Status, words: dict[str, tuple[str, ...]]) -> None:
    assert told(stream_checks.meta(status, CopyLimits())) == words


def test_an_election_is_no_alarm() -> None:
    check = stream_checks.meta(now(meta=StandingReport("", "", True, "", "")), CopyLimits())
    assert check.level is Level.OK
    assert "a leader is being elected" in check.words(Level.OK)[0]


def test_streams_that_are_well() -> None:
    check = stream_checks.jetstream(STREAMS, Limits(75, 90), CopyLimits(lag=500, seen=10))
    assert check.level is Level.OK
    assert check.words(Level.OK) == ("60% storage", "4 streams are healthy")
    assert numbers(check) == {
        "storage": 60,
        "storage_pct": 60,
        "disk_free": 500,
        "streams": 4,
        "consumers": 1,
        "replicas_ok": 4,
        "replicas_fail": 0,
        "replicas_lagged": 0,
    }


def test_streams_that_are_not_well() -> None:
    status = now(standard=(STALLED, BUCKET), others_not_writable=1, worst="stream X cannot be written")
    check = stream_checks.jetstream(status, Limits(50, 90), CopyLimits())
    assert told(check) == {
        "CRITICAL": (
            "CHORIA_EVENTS of choria cannot be written: no member leads",
            "1 unhealthy other streams: stream X cannot be written",
        ),
        "WARNING": ("60% storage",),
    }
    assert numbers(check)["replicas_fail"] == 2
    late = stream_checks.jetstream(STREAMS, Limits(), CopyLimits(lag=200))
    assert told(late) == {"CRITICAL": ("CHORIA_EVENTS of choria writable, leader b1, 3 copies, b3 300 behind",)}
    assert stream_checks.jetstream(status, Limits(75, 90), None).level is Level.OK


def test_a_store_without_a_bound_or_a_known_disk() -> None:
    status = msgspec.structs.replace(STREAMS, store=StoreReport(True, 0, 0, 0, 60, 0))
    assert numbers(stream_checks.jetstream(status, Limits(75, 90), None))["storage_pct"] == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "Choria Streams are off, or the engine's pages were not read yet"),
        ({"store": StoreReport(False, 0, 0, 0, 0, 0)}, "the engine has it disabled"),
        (
            {
                "store": StoreReport(False, 0, 0, 0, 0, 0),
                "health": HealthReport("failing", "", ("Choria Streams are not available: full",)),
            },
            "Choria Streams are not available: full",
        ),
    ],
)
def test_no_streams(changes: dict[str, object], why: str) -> None:
    status = msgspec.structs.replace(STATUS, **changes)
    assert told(stream_checks.jetstream(status, Limits(), None)) == {"CRITICAL": (f"JetStream not available: {why}",)}


def test_a_stream_with_as_many_copies_as_the_settings_say() -> None:
    check = stream_checks.stream(STREAMS, "CHORIA_EVENTS", "", CopyLimits(seen=10))
    assert check.level is Level.OK
    assert check.words(Level.OK) == ("account choria: writable, leader b1, 3 copies, b3 300 behind",)
    assert numbers(check) == {"peers": 3, "peer_lagged": 0, "peer_inactive": 0}
    assert stream_checks.bucket(STREAMS, "CHORIA_LEADER_ELECTION", "choria").level is Level.OK


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (CopyLimits(5, seen=10), "account choria: expected 5 replicas got 3"),
        (CopyLimits(seen=5), "1 silent: b3"),
        (CopyLimits(lag=200, seen=10), "1 lagged: b3"),
    ],
)
def test_a_stream_whose_copies_are_not_as_expected(limits: CopyLimits, words: str) -> None:
    assert told(stream_checks.stream(STREAMS, "CHORIA_EVENTS", "", limits)) == {"CRITICAL": (words,)}


def test_a_stream_that_cannot_be_written() -> None:
    check = stream_checks.stream(now(standard=(STALLED,)), "CHORIA_EVENTS", "", CopyLimits())
    assert told(check) == {"CRITICAL": ("account choria: cannot be written: no member leads",)}


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (State.FAILED, "no room", {"CRITICAL": ("account a: failed: no room",)}),
        (State.RETRYING, "no leader", {"WARNING": ("account a: retrying: no leader",)}),
        (State.NOT_MANAGED, "", {}),
        (State.PENDING, "", {"UNKNOWN": ("account a: no copy on this broker, or not read yet",)}),
    ],
)
def test_a_stream_of_which_no_copy_was_read(state: State, reason: str, expected: dict[str, tuple[str, ...]]) -> None:
    status = msgspec.structs.replace(STATUS, streams=(Report("a", "S", state, reason=reason),))
    assert told(stream_checks.stream(status, "S", "", CopyLimits())) == expected


def test_a_stream_of_two_accounts() -> None:
    status = msgspec.structs.replace(
        now(standard=(EVENTS, msgspec.structs.replace(EVENTS, account="B"))),
        streams=(Report("choria", "CHORIA_EVENTS", State.OK), Report("B", "CHORIA_EVENTS", State.OK)),
    )
    found = numbers(stream_checks.stream(status, "CHORIA_EVENTS", "", CopyLimits()))
    assert found == {
        "choria_peers": 3,
        "choria_peer_lagged": 0,
        "choria_peer_inactive": 0,
        "b_peers": 3,
        "b_peer_lagged": 0,
        "b_peer_inactive": 0,
    }
    assert set(numbers(stream_checks.stream(status, "CHORIA_EVENTS", "B", CopyLimits()))) == {
        "peers",
        "peer_lagged",
        "peer_inactive",
    }


def test_a_stream_that_is_none_of_the_standard_ones() -> None:
    (words,) = told(stream_checks.stream(STREAMS, "MINE", "", CopyLimits()))["UNKNOWN"]
    assert "CHORIA_EVENTS, KV_CHORIA_LEADER_ELECTION" in words
    assert "nats server check" in words
    assert "(none)" in told(stream_checks.bucket(STATUS, "MINE", ""))["UNKNOWN"][0]
