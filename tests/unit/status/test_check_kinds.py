"""The checks for monitoring systems: what each kind makes of a broker's status."""

from __future__ import annotations

import msgspec
import pytest

from choria_broker.stats.headroom import Headroom
from choria_broker.status import check_kinds
from choria_broker.status.check_kinds import CopyLimits, Limits, ServerLimits
from choria_broker.status.checks import Check, Level
from choria_broker.status.document import (
    AuthoritiesReport,
    AuthorityReport,
    CertificateReport,
    EngineReport,
    HealthReport,
    Peers,
    Status,
    StoreReport,
)
from choria_broker.status.drains import DrainReport
from choria_broker.status.streams_now import CopyReport, StandingReport, StreamsNow
from choria_broker.streams.report import Report, State

DAY = 86400.0
STATUS = Status(
    identity="b1",
    health=HealthReport("ok", "All is well."),
    version="1",
    nats="2",
    pid=1,
    source="/etc/choria/broker.conf",
    since=0.0,
    ports={"client": 4222},
    accepted={},
    refused={},
    refused_addresses=(),
    engine=EngineReport(2, 3600.0, True),
    headroom=(Headroom("connections", 50, 100), Headroom("subscriptions", 7, None), Headroom("memory", 1 << 20, None)),
)
COPIES = (CopyReport("b2", "in-step", 0, 0.5), CopyReport("b3", "behind", 300, 8.0))
META = StandingReport("", "", True, "", "b1", COPIES)
EVENTS = StandingReport("choria", "CHORIA_EVENTS", True, "", "b1", COPIES)
BUCKET = StandingReport("choria", "KV_CHORIA_LEADER_ELECTION", True, "", "b2")
STALLED = msgspec.structs.replace(EVENTS, writable=False, obstacle="no member leads")
STREAMS = msgspec.structs.replace(
    STATUS,
    streams=(
        Report("choria", "CHORIA_EVENTS", State.OK, "unchanged", replicas=3),
        Report("choria", "KV_CHORIA_LEADER_ELECTION", State.OK, "unchanged", replicas=3),
    ),
    streams_now=StreamsNow(META, (EVENTS, BUCKET), others=2),
    store=StoreReport(True, 4, 1, 10, 60, 100, 500, "/var/lib/streams"),
    peers=Peers(("b2:5222", "b3:5222"), ("b2", "b3")),
)


def now(status: Status = STREAMS, **changes: object) -> Status:
    assert status.streams_now
    return msgspec.structs.replace(status, streams_now=msgspec.structs.replace(status.streams_now, **changes))


def told(check: Check) -> dict[str, tuple[str, ...]]:
    return {level.value: check.words(level) for level in Level if check.words(level) and level is not Level.OK}


def numbers(check: Check) -> dict[str, float]:
    return {each.name: each.value for each in check.measures}


@pytest.mark.parametrize(
    ("limits", "value", "level"),
    [
        (Limits(), 10**9, Level.OK),
        (Limits(5, 10), 4, Level.OK),
        (Limits(5, 10), 5, Level.WARNING),
        (Limits(5, 10), 10, Level.CRITICAL),
        (Limits(None, 10), 9, Level.OK),
        (Limits(5, None), 99, Level.WARNING),
        (Limits(10, 5), 11, Level.OK),
        (Limits(10, 5), 10, Level.WARNING),
        (Limits(10, 5), 5, Level.CRITICAL),
    ],
)
def test_thresholds_work_both_ways(limits: Limits, value: float, level: Level) -> None:
    assert limits.level(value) is level


@pytest.mark.parametrize(("left", "level"), [(11, Level.OK), (10, Level.WARNING), (5, Level.CRITICAL)])
def test_what_is_to_be_large(left: float, level: Level) -> None:
    assert Limits(10, 5).low(left) is level
    assert Limits().low(left) is Level.OK


@pytest.mark.parametrize(
    ("condition", "level"),
    [
        ("ok", Level.OK),
        ("degraded", Level.WARNING),
        ("draining", Level.WARNING),
        ("failing", Level.CRITICAL),
    ],
)
def test_health_of_the_broker(condition: str, level: Level) -> None:
    reasons = () if condition == "ok" else ("one", "two")
    status = msgspec.structs.replace(STATUS, health=HealthReport(condition, "A sentence.", reasons))
    check = check_kinds.broker(status)
    assert check.level is level
    assert check.words(level) == (reasons or ("A sentence.",))
    assert numbers(check) == {"uptime": 3600.0, "pending_restart": 0, "left_out": 0}


def test_a_broker_that_lets_connections_in() -> None:
    check = check_kinds.connection(STATUS, 0.01, Limits(0.5, 1.0))
    assert check.level is Level.OK
    assert numbers(check) == {"connect_time": 0.01, "connections": 50}
    assert check_kinds.connection(STATUS, 0.7, Limits(0.5, 1.0)).level is Level.WARNING
    assert check_kinds.connection(STATUS, 1.0, Limits(0.5, 1.0)).level is Level.CRITICAL


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": EngineReport(2, 1.0, False)}, {"CRITICAL": ("the engine does not answer",)}),
        ({"engine": EngineReport()}, {"CRITICAL": ("the engine does not answer",)}),
        ({"ports": {}}, {"CRITICAL": ("no port for clients is open",)}),
        (
            {"drain": DrainReport(state="draining")},
            {"WARNING": ("the broker is draining and accepts no new connections",)},
        ),
        (
            {"headroom": (Headroom("connections", 80, 100),)},
            {"WARNING": ("80 of at most 100 connections are in use",)},
        ),
        (
            {"headroom": (Headroom("connections", 100, 100),)},
            {"CRITICAL": ("100 of at most 100 connections are in use",)},
        ),
        ({"headroom": ()}, {}),
    ],
)
def test_why_connections_may_not_get_in(changes: dict[str, object], words: dict[str, tuple[str, ...]]) -> None:
    assert told(check_kinds.connection(msgspec.structs.replace(STATUS, **changes), 0.01, Limits(0.5, 1.0))) == words


def test_a_server_as_expected() -> None:
    limits = ServerLimits(
        "b1", Limits(90, 95), Limits(10, 20), Limits(2 << 20, 3 << 20), Limits(600, 60), authentication=True
    )
    check = check_kinds.server(STATUS, limits)
    assert check.level is Level.OK
    assert check.name == "b1"
    assert numbers(check) == {"uptime": 3600.0, "mem": 1 << 20, "connections": 50, "subscriptions": 7}
    assert "Up 1h0m0s" in check.words(Level.OK)
    assert check_kinds.server(STREAMS, ServerLimits(streams=True)).words(Level.OK) == ("JetStream enabled",)


@pytest.mark.parametrize(
    ("limits", "level", "words"),
    [
        (ServerLimits("b2"), Level.CRITICAL, "result from wrong server b1"),
        (ServerLimits(streams=True), Level.CRITICAL, "JetStream not enabled"),
        (ServerLimits(connections=Limits(100, 60)), Level.CRITICAL, "Connections 50"),
        (ServerLimits(connections=Limits(40, 60)), Level.WARNING, "Connections 50"),
        (ServerLimits(memory=Limits(None, 1 << 20)), Level.CRITICAL, "Memory 1048576"),
        (ServerLimits(uptime=Limits(7200, 60)), Level.WARNING, "Up 1h0m0s"),
    ],
)
def test_a_server_that_is_not(limits: ServerLimits, level: Level, words: str) -> None:
    assert told(check_kinds.server(STATUS, limits)) == {level.value: (words,)}


def test_a_server_that_lets_anybody_in_or_was_not_measured() -> None:
    status = msgspec.structs.replace(STATUS, unverified_account="choria", headroom=())
    assert told(check_kinds.server(status, ServerLimits(connections=Limits(1, 2), authentication=True))) == {
        "CRITICAL": ("Authentication not required: clients that present nothing are accepted into account choria",),
        "UNKNOWN": ("Connections not known yet; ask again in ten seconds",),
    }


def test_the_meta_group_where_this_broker_leads() -> None:
    check = check_kinds.meta(STREAMS, CopyLimits(3, lag=500, seen=10))
    assert check.level is Level.OK
    assert check.words(Level.OK) == ("3 peers led by b1",)
    assert numbers(check) == {"peers": 3, "peer_lagged": 0, "peer_inactive": 0}
    assert told(check_kinds.meta(STREAMS, CopyLimits(5, lag=200, seen=5))) == {
        "CRITICAL": ("3 peers of expected 5", "1 lagged: b3", "1 silent: b3")
    }


def test_the_meta_group_where_another_leads() -> None:
    check = check_kinds.meta(now(meta=StandingReport("", "", True, "", "b2")), CopyLimits(3))
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
    assert told(check_kinds.meta(status, CopyLimits())) == words


def test_an_election_is_no_alarm() -> None:
    check = check_kinds.meta(now(meta=StandingReport("", "", True, "", "")), CopyLimits())
    assert check.level is Level.OK
    assert "a leader is being elected" in check.words(Level.OK)[0]


def test_streams_that_are_well() -> None:
    check = check_kinds.jetstream(STREAMS, Limits(75, 90), CopyLimits(lag=500, seen=10))
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
    check = check_kinds.jetstream(status, Limits(50, 90), CopyLimits())
    assert told(check) == {
        "CRITICAL": (
            "CHORIA_EVENTS of choria cannot be written: no member leads",
            "1 unhealthy other streams: stream X cannot be written",
        ),
        "WARNING": ("60% storage",),
    }
    assert numbers(check)["replicas_fail"] == 2
    late = check_kinds.jetstream(STREAMS, Limits(), CopyLimits(lag=200))
    assert told(late) == {"CRITICAL": ("CHORIA_EVENTS of choria writable, leader b1, 3 copies, b3 300 behind",)}
    assert check_kinds.jetstream(status, Limits(75, 90), None).level is Level.OK


def test_a_store_without_a_bound_or_a_known_disk() -> None:
    status = msgspec.structs.replace(STREAMS, store=StoreReport(True, 0, 0, 0, 60, 0))
    assert numbers(check_kinds.jetstream(status, Limits(75, 90), None))["storage_pct"] == 0


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
    assert told(check_kinds.jetstream(status, Limits(), None)) == {"CRITICAL": (f"JetStream not available: {why}",)}


def test_a_stream_with_as_many_copies_as_the_settings_say() -> None:
    check = check_kinds.stream(STREAMS, "CHORIA_EVENTS", "", CopyLimits(seen=10))
    assert check.level is Level.OK
    assert check.words(Level.OK) == ("account choria: writable, leader b1, 3 copies, b3 300 behind",)
    assert numbers(check) == {"peers": 3, "peer_lagged": 0, "peer_inactive": 0}
    assert check_kinds.bucket(STREAMS, "CHORIA_LEADER_ELECTION", "choria").level is Level.OK


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (CopyLimits(5, seen=10), "account choria: expected 5 replicas got 3"),
        (CopyLimits(seen=5), "1 silent: b3"),
        (CopyLimits(lag=200, seen=10), "1 lagged: b3"),
    ],
)
def test_a_stream_whose_copies_are_not_as_expected(limits: CopyLimits, words: str) -> None:
    assert told(check_kinds.stream(STREAMS, "CHORIA_EVENTS", "", limits)) == {"CRITICAL": (words,)}


def test_a_stream_that_cannot_be_written() -> None:
    check = check_kinds.stream(now(standard=(STALLED,)), "CHORIA_EVENTS", "", CopyLimits())
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
    assert told(check_kinds.stream(status, "S", "", CopyLimits())) == expected


def test_a_stream_of_two_accounts() -> None:
    status = msgspec.structs.replace(
        now(standard=(EVENTS, msgspec.structs.replace(EVENTS, account="B"))),
        streams=(Report("choria", "CHORIA_EVENTS", State.OK), Report("B", "CHORIA_EVENTS", State.OK)),
    )
    found = numbers(check_kinds.stream(status, "CHORIA_EVENTS", "", CopyLimits()))
    assert found == {
        "choria_peers": 3,
        "choria_peer_lagged": 0,
        "choria_peer_inactive": 0,
        "b_peers": 3,
        "b_peer_lagged": 0,
        "b_peer_inactive": 0,
    }
    assert set(numbers(check_kinds.stream(status, "CHORIA_EVENTS", "B", CopyLimits()))) == {
        "peers",
        "peer_lagged",
        "peer_inactive",
    }


def test_a_stream_that_is_none_of_the_standard_ones() -> None:
    (words,) = told(check_kinds.stream(STREAMS, "MINE", "", CopyLimits()))["UNKNOWN"]
    assert "CHORIA_EVENTS, KV_CHORIA_LEADER_ELECTION" in words
    assert "nats server check" in words
    assert "(none)" in told(check_kinds.bucket(STATUS, "MINE", ""))["UNKNOWN"][0]


def certificate(role: str, days: float, subject: str = "CN=x") -> CertificateReport:
    return CertificateReport(role, f"/{role}.pem", subject, days * DAY, days)


def test_certificates() -> None:
    status = msgspec.structs.replace(STATUS, certificates=(certificate("broker", 30), certificate("ca", 300)))
    check = check_kinds.credential(status, Limits(14 * DAY, 3 * DAY))
    assert check.level is Level.OK
    assert check.words(Level.OK) == ("2 certificates, the first of /broker.pem, days left: 30",)
    assert numbers(check) == {"expiry": 30 * DAY}
    assert told(check_kinds.credential(STATUS, Limits())) == {"UNKNOWN": ("no certificate was read",)}


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (13.5, Level.WARNING, "expires in 13.5 days"),
        (2, Level.CRITICAL, "expires in 2 days"),
        (-1, Level.CRITICAL, "has expired"),
    ],
)
def test_a_certificate_that_ends(days: float, level: Level, words: str) -> None:
    status = msgspec.structs.replace(STATUS, certificates=(certificate("broker", days),))
    expected = {level.value: (f"broker certificate in /broker.pem {words}",)}
    assert told(check_kinds.credential(status, Limits(14 * DAY, 3 * DAY))) == expected


def test_a_ca_that_is_replaced_may_end_once_nothing_hangs_on_it() -> None:
    old, new = certificate("ca", -1, "CN=old"), certificate("ca", 300, "CN=new")
    counted = AuthorityReport("CN=old", "ab", -DAY, -1, (), {"client": 1})
    status = msgspec.structs.replace(STATUS, certificates=(old, new), authorities=AuthoritiesReport((counted,)))
    assert check_kinds.credential(status, Limits()).level is Level.CRITICAL
    free = msgspec.structs.replace(counted, connections={})
    status = msgspec.structs.replace(status, authorities=AuthoritiesReport((free,)))
    assert check_kinds.credential(status, Limits()).level is Level.OK


@pytest.mark.parametrize(
    ("expires", "required", "level", "words"),
    [
        (None, True, Level.CRITICAL, "a.creds never expires"),
        (None, False, Level.OK, "a.creds never expires"),
        (99.0, True, Level.CRITICAL, "a.creds has expired"),
        (105.0, True, Level.CRITICAL, "a.creds expires in 5.00s"),
        (110.0, True, Level.WARNING, "a.creds expires in 10.00s"),
        (200.0, True, Level.OK, "a.creds expires in 1m40s"),
    ],
)
def test_a_credentials_file(expires: float | None, required: bool, level: Level, words: str) -> None:
    check = check_kinds.credentials_file("a.creds", expires, 100.0, Limits(10, 5), required=required)
    assert check.level is level
    assert check.words(level) == (words,)


def test_a_broker_that_cannot_be_asked() -> None:
    assert check_kinds.unavailable("server", "server", "no broker runs", down=True).level is Level.CRITICAL
    assert check_kinds.unavailable("server", "server", "another version", down=False).level is Level.UNKNOWN
