"""How streams stand, read from the engine's page."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.stats.measured import Measured
from choria_broker.stats.readings import Readings, Server
from choria_broker.stats.standings import Copy, CopyState, Standing, Standings
from choria_broker.streams.ledger import StreamCounts
from choria_broker.streams.report import Report, State
from support.metrics import family

OWN = "b1"


def replica(name: str, active: float = 1.0, *, current: bool = True, offline: bool = False, lag: int = 0) -> Any:
    return {"name": name, "active": int(active * 1e9), "current": current, "offline": offline, "lag": lag}


def page(leader: str, *replicas: Any, meta: Any = None, name: str = "EVENTS") -> Any:
    cluster = {"leader": leader, "raft_group": "S-R", "replicas": list(replicas)}
    detail = {"name": name, "cluster": cluster}
    found = {"account_details": [{"name": "choria", "stream_detail": [detail]}]}
    return found | ({"meta_cluster": meta} if meta else {})


def read(jsz: Any, before: Standings | None = None, now: float = 100.0) -> Standings:
    return Standings.read(jsz, OWN, before, now)


def only(jsz: Any, before: Standings | None = None, now: float = 100.0) -> Standing:
    (found,) = read(jsz, before, now).streams
    return found


def test_a_stream_with_all_copies_in_step() -> None:
    found = only(page("b1", replica("b2"), replica("b3")))

    assert (found.account, found.stream, found.leader, found.leads) == ("choria", "EVENTS", "b1", True)
    assert (found.obstacle, found.unheard, found.behind, found.doubtful) == ("", (), (), False)
    assert found.counts == {"in-step": 3, "behind": 0, "silent": 0}


def test_a_broker_that_is_alone_can_write() -> None:
    jsz = {"account_details": [{"name": "choria", "stream_detail": [{"name": "A", "cluster": {"leader": "b1"}}]}]}
    found = read(jsz)

    assert found.meta is None
    assert not found.doubtful
    assert (found.streams[0].obstacle, found.streams[0].counts[CopyState.IN_STEP]) == ("", 1)


def test_the_leader_of_two_copies_that_hears_nothing_of_the_other_cannot_write() -> None:
    found = only(page("b1", replica("b2", 7.0)))

    assert found.obstacle == "too few copies respond; no response from b2"
    assert found.counts == {"in-step": 1, "behind": 0, "silent": 1}


def test_one_silent_copy_of_three_stops_nothing() -> None:
    found = only(page("b1", replica("b2", 7.0), replica("b3")))

    assert (found.obstacle, found.unheard, found.doubtful) == ("", ("b2",), True)


def test_a_copy_that_is_behind_is_told_with_its_lag() -> None:
    found = only(page("b1", replica("b2", current=False, lag=12)))

    assert [(each.member, each.state, each.lag) for each in found.behind] == [("b2", CopyState.BEHIND, 12)]
    assert found.obstacle == ""


def test_a_follower_tells_only_whether_it_hears_of_the_leader() -> None:
    well = only(page("b2", replica("b2"), replica("b3", 0, current=False)))
    lost = only(page("b2", replica("b2", 6.0), replica("b3", 0, current=False)))

    assert (well.obstacle, well.unheard, dict(well.counts), well.behind) == ("", (), {}, ())
    assert lost.obstacle == "no response from b2, which leads"


def test_without_a_leader_for_a_moment_is_an_election_and_for_longer_an_obstacle() -> None:
    jsz = page("", replica("b1"), replica("b2", 0, current=False))
    first = read(jsz)
    second = read(jsz, first, 103.0)
    third = read(jsz, second, 104.5)

    assert [each.streams[0].obstacle for each in (first, second)] == ["", ""]
    assert first.doubtful
    assert third.streams[0].obstacle == "no member leads; no response from b2"
    again = read(page("b1", replica("b2")), third, 105.0)
    assert (again.streams[0].obstacle, again.streams[0].doubtful_for) == ("", 0.0)
    assert read(jsz, again, 110.0).streams[0].doubtful_for == 0.0


def test_who_is_missing_in_the_cluster_too_is_blamed() -> None:
    meta = {"leader": "b1", "replicas": [replica("b2", 20.0), replica("b3")]}
    jsz = page("", replica("b1"), replica("b2", 0), replica("b3", 0), meta=meta)
    found = read(jsz, read(jsz), 110.0)

    assert found.streams[0].obstacle == "no member leads; no response from b2"
    assert found.meta is not None
    assert (found.meta.obstacle, found.meta.unheard) == ("", ("b2",))


def test_the_cluster_without_a_leader() -> None:
    jsz = {"meta_cluster": {"replicas": [replica("b1", 20.0), replica("b2", 15.0)]}}
    found = read(jsz, read(jsz), 110.0)

    assert found.meta is not None
    assert found.meta.obstacle == "no member leads; no response from b2"


@pytest.mark.parametrize("jsz", [None, [], {}, {"account_details": None, "meta_cluster": 3}, {"account_details": [7]}])
def test_what_is_no_page_has_no_streams(jsz: Any) -> None:
    assert (read(jsz).streams, read(jsz).meta, read(jsz).doubtful) == ((), None, False)


def test_streams_are_in_order() -> None:
    details = [{"name": name, "cluster": {"leader": "b1"}} for name in ("C", "A", "B")]
    found = read(
        {"account_details": [{"name": "z", "stream_detail": details[:1]}, {"name": "a", "stream_detail": details}]}
    )

    assert [(each.account, each.stream) for each in found.streams] == [("a", "A"), ("a", "B"), ("a", "C"), ("z", "C")]


def test_a_copy_that_is_offline_is_silent() -> None:
    assert Copy("b2", 0.1, offline=True).state is CopyState.SILENT


def test_metrics_tell_of_each_standard_stream_and_count_the_others() -> None:
    details = [
        {"name": name, "cluster": {"leader": leader, "raft_group": "S-R", "replicas": [replica("b2", lag=lag)]}}
        for name, leader, lag in (("EVENTS", OWN, 4), ("MACHINE", "b2", 0), ("OF_USERS", OWN, 0))
    ]
    found = read({"account_details": [{"name": "choria", "stream_detail": details}]})
    standard = {("choria", name): Report("choria", name, State.OK) for name in ("EVENTS", "MACHINE")}
    measured = Measured(
        identity=OWN, readings=Readings(Server(), None, None, standings=found), streams=StreamCounts(standard)
    )

    def told(name: str, *labels: str) -> dict[tuple[str, ...], float]:
        samples = family(measured, f"choria_broker_{name}").samples
        return {tuple(each.labels[label] for label in labels): each.value for each in samples}

    assert told("stream_writable", "stream") == {("EVENTS",): 1, ("MACHINE",): 1}
    copies = told("stream_copies", "stream", "state")
    assert copies == {("EVENTS", "in-step"): 1, ("EVENTS", "behind"): 1, ("EVENTS", "silent"): 0}
    assert told("stream_lag", "stream", "member") == {("EVENTS", "b2"): 4}
    assert told("other_streams", "writable") == {("no",): 0, ("yes",): 1}
    assert not family(Measured(identity=OWN), "choria_broker_stream_writable").samples
