"""Choria Streams: ages, copies, elections, how often data reach the disk, and clusters they can live in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.streams import STANDARD_STREAMS
from support.scenario import NET, Result, net
from support.standard_streams import standard

STORE = "stream.store = /store"


def peers(count: int) -> str:
    return "peers = " + ", ".join(f"broker{number}.example.net:5222" for number in range(1, count + 1))


def streams(*lines: str) -> Result:
    """Resolve with Streams on, and a login of the cluster so that it draws no remark."""
    login = ("peer_user = cluster", "peer_password = p") if any(line.startswith("peers") for line in lines) else ()
    return net(STORE, *lines, *login)


def test_everything_that_is_set_is_taken() -> None:
    found = streams(
        "stream.manage_streams = no",
        "stream.event_retention = 30d",
        "stream.machine_retention = 0",
        "stream.advisory_replicas = 1",
        "stream.leader_election_ttl = 30s",
        "stream.executor_retention = 1h",
        "stream.sync = always",
    )
    assert {each.problem for each in found.findings} == {
        f"{NET}stream.manage_streams is false, so this broker does not change the stream"
    }
    settings = found.ok.network.streams
    assert (str(settings.store), settings.manage, settings.sync) == ("/store", False, 0.0)
    assert settings.standard == standard(
        event=(30 * 86400.0, -1),
        machine=(0.0, -1),
        advisory=(604800.0, 1),
        leader_election=(30.0, -1),
        executor=(3600.0, -1),
    )


@pytest.mark.parametrize(
    ("lines", "kept"),
    [((), True), (("stream.event_retention = 0",), False), (("stream.manage_streams = no",), False)],
)
def test_events_of_the_broker_are_kept_where_there_is_a_stream(lines: tuple[str, ...], kept: bool) -> None:
    found = streams("publish_events = true", *lines)
    assert found.ok.network.publish_events
    assert ("events-not-kept" not in {each.code for each in found.findings}) is kept
    assert "choria.broker.event.>" in found.ok.network.streams.standard[0].subjects


def test_events_of_a_broker_without_streams_are_not_kept() -> None:
    (finding,) = net("publish_events = true").findings
    assert (finding.code, finding.severity) == ("events-not-kept", Severity.INFO)
    assert net("publish_events = false").findings == ()


def test_what_nobody_sets() -> None:
    found = streams()
    assert found.findings == ()
    settings = found.ok.network.streams
    assert settings.manage
    assert settings.sync is None
    day = (86400.0, -1)
    assert settings.standard == STANDARD_STREAMS
    assert settings.standard == standard(event=day, machine=day, executor=day, leader_election=(60.0, -1))


def test_a_store_that_cannot_be_written() -> None:
    finding = net(STORE, facts={"store_problem": "/ is full"}).one("store-not-writable")
    assert (finding.severity, finding.key) == (Severity.REFUSE, NET + "stream.store")


@pytest.mark.parametrize("line", ["stream.manage_streams = yes", "stream.sync = always", "stream.event_retention = 1h"])
def test_settings_of_streams_that_are_off_have_no_effect_and_are_mentioned(line: str) -> None:
    finding = net(line).one("no-effect")
    assert (finding.severity, finding.key) == (Severity.INFO, NET + line.partition(" ")[0])


@pytest.mark.parametrize(
    "line",
    [
        "stream.event_replicas = 0",
        "stream.event_replicas = -2",
        "stream.leader_election_replicas = 0",
        "stream.event_retention = 99ms",
        "stream.executor_retention = 1ms",
        "stream.leader_election_ttl = 0",
        "stream.leader_election_ttl = -1m",
        "stream.leader_election_ttl = 999ms",
        "stream.leader_election_ttl = 3601s",
        "stream.sync = sometimes",
        "stream.sync = 0",
        "stream.sync = 9ms",
        "stream.sync = -1s",
        "stream.sync = Always",
    ],
)
def test_values_that_make_no_sense(line: str) -> None:
    finding = streams(line).one("bad-value")
    assert (finding.severity, finding.key) == (Severity.REFUSE, NET + line.partition(" ")[0])
    assert "write" in finding.remedy


@pytest.mark.parametrize("age", ["0", "-1h", "100ms", "1s", "365d"])
def test_ages_that_make_sense(age: str) -> None:
    assert streams(f"stream.event_retention = {age}").findings == ()


@pytest.mark.parametrize(
    ("ttl", "codes"),
    [
        ("1s", ["election-ttl"]),
        ("4999ms", ["election-ttl"]),
        ("5s", []),
        ("60s", []),
        ("61s", ["election-ttl"]),
        ("1h", ["election-ttl"]),
    ],
)
def test_elections_that_are_hasty_or_sluggish(ttl: str, codes: list[str]) -> None:
    assert streams(f"stream.leader_election_ttl = {ttl}").codes() == codes


@pytest.mark.parametrize(
    ("text", "sync", "codes"),
    [
        ("default", None, []),
        ("always", 0.0, []),
        ("10ms", 0.01, []),
        ("2m", 120.0, []),
        ("10", 10.0, []),
        ("121s", 121.0, ["slow-sync"]),
    ],
)
def test_how_often_data_reach_the_disk(text: str, sync: float | None, codes: list[str]) -> None:
    found = streams(f"stream.sync = {text}")
    assert found.ok.network.streams.sync == sync
    assert found.codes() == codes


@pytest.mark.parametrize(
    ("lines", "copies", "codes"),
    [
        (["stream.event_replicas = 1"], 1, []),
        (["stream.event_replicas = 3"], 3, ["more-replicas-than-peers"]),
        (["stream.event_replicas = 7"], 5, ["many-replicas", "more-replicas-than-peers"]),
        (["stream.event_replicas = 3", peers(3)], 3, []),
        (["stream.event_replicas = 5", peers(3)], 5, ["more-replicas-than-peers"]),
        (["stream.manage_streams = no", "stream.event_replicas = 3"], 3, ["more-replicas-than-peers"]),
    ],
)
def test_copies(lines: list[str], copies: int, codes: list[str]) -> None:
    found = streams(*lines)
    assert found.ok.network.streams.standard[0].replicas == copies
    assert [code for code in found.codes() if "replicas" in code] == codes


@pytest.mark.parametrize(
    ("lines", "effect"), [([], "the stream has one copy"), ([peers(2)], "until more members join")]
)
def test_what_more_copies_than_peers_come_to(lines: list[str], effect: str) -> None:
    finding = streams("stream.event_replicas = 3", *lines).one("more-replicas-than-peers")
    assert effect in finding.effect
    assert finding.severity is Severity.WARN


EVERY = tuple(each.key for each in STANDARD_STREAMS)


@pytest.mark.parametrize(
    ("lines", "hinted"),
    [
        ([], False),
        ([peers(2)], True),
        ([peers(3)], False),
        ([peers(4)], True),
        ([peers(5)], False),
        ([peers(6)], False),
        ([peers(4), "stream.manage_streams = 0"], False),
        ([peers(4), *(f"stream.{name}_replicas = 3" for name in ("event", "machine", "advisory"))], True),
        ([peers(4), *(f"stream.{name}_replicas = 3" for name in EVERY)], False),
    ],
)
def test_an_even_number_of_copies_is_worth_a_hint(lines: list[str], *, hinted: bool) -> None:
    found = streams(*lines)
    assert ("even-replicas" in found.codes()) is hinted
    if hinted:
        assert found.one("even-replicas").severity is Severity.INFO


def test_streams_need_a_second_member_where_there_is_a_cluster() -> None:
    finding = streams(peers(1)).one("streams-alone-in-cluster")
    assert (finding.severity, finding.key) == (Severity.REFUSE, NET + "peers")
    assert "streams-alone-in-cluster" not in streams(peers(2)).codes()
    assert "streams-alone-in-cluster" not in net(peers(1)).codes()


@given(st.text(max_size=20))
def test_any_text_for_the_disk_is_read_or_refused(text: str) -> None:
    line = " ".join(text.split())
    found = streams(f"stream.sync = {line}")
    if found.settings:
        sync = found.settings.network.streams.sync
        assert sync is None or sync == 0 or sync >= 0.01
