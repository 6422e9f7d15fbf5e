"""The stages of a federation broker: what they make of messages, and what they count."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from choria_broker.companions.metrics import (
    FEDERATION_ERRORS,
    FEDERATION_PUBLISHED,
    FEDERATION_RECEIVED,
    FEDERATION_TIME,
)
from choria_broker.companions.tally import Tally
from choria_broker.federation.stages import EGEST, INGEST, WORKERS, Passing, Route, Stages, routes
from choria_broker.federation.transport import Cause
from support import transports as samples
from support.fuzzing import examples
from support.transports import encoded, message, valid_messages

REQUESTS, REPLIES = routes("london")
Counted = dict[tuple[str, ...], float]


class Bench:
    """The stages of a route with a clock that goes on by a second with each look."""

    def __init__(self, route: Route = REQUESTS, numbers: range = range(WORKERS)) -> None:
        self.tally = Tally()
        ticks = itertools.count()
        self.stages = Stages(route, "london", "broker1.example.net", numbers, self.tally, lambda: float(next(ticks)))
        self.stages.begin(INGEST)
        self.stages.begin(EGEST)

    def counted(self, family: str) -> Counted:
        return {labels: value for labels, value in self.tally.told().get(family, ()) if value}

    def passing(self, raw: bytes) -> Passing:
        found = self.stages.take(raw)
        assert isinstance(found, Passing), found
        return found


def test_subjects_and_groups_are_those_of_the_original() -> None:
    assert (REQUESTS.subject, REQUESTS.group) == ("choria.federation.london.federation", "london_federation")
    assert (REPLIES.subject, REPLIES.group) == ("choria.federation.london.collective", "london_collective")
    assert (REQUESTS.ingest, REQUESTS.egest) == ("federation", "collective")
    assert (REPLIES.ingest, REPLIES.egest) == ("collective", "federation")


def test_series_are_there_from_the_beginning() -> None:
    tally = Tally()
    both = [Stages(route, "london", "b", range(WORKERS), tally, float) for route in (REQUESTS, REPLIES)]
    assert {labels[2] for labels, _ in tally.told()[FEDERATION_RECEIVED]} == {"unconnected"}
    for stages in both:
        stages.begin(INGEST)
        stages.begin(EGEST)
        stages.begin(EGEST)

    told = tally.told()
    for family in (FEDERATION_RECEIVED, FEDERATION_ERRORS, f"{FEDERATION_TIME}_sum", f"{FEDERATION_TIME}_count"):
        assert len(told[family]) == 60
    assert len(told[FEDERATION_PUBLISHED]) == 20
    assert {labels[::2] for labels, _ in told[FEDERATION_RECEIVED]} == {
        ("nats_ingest", "federation"),
        ("nats_ingest", "collective"),
        ("nats_egest", "federation"),
        ("nats_egest", "collective"),
        ("choria_request_transformer", "unconnected"),
        ("choria_reply_transformer", "unconnected"),
    }
    assert {labels[3] for labels, _ in told[FEDERATION_RECEIVED]} == {"london"}


def test_a_request_on_its_way() -> None:
    bench = Bench()
    passing = bench.passing(samples.V1_REQUEST)
    written = bench.stages.written(passing, "nats://f:4222", "nats://c:4222")
    bench.stages.published(passing, 2, 0, 0.5)

    assert json.loads(written)["headers"]["seen-by"][-1] == [
        "nats://f:4222",
        "broker1.example.net (choria_nats_ingest:0, choria_request_transformer:0, choria_nats_egest:0)",
        "nats://c:4222",
    ]
    assert bench.counted(FEDERATION_RECEIVED) == {
        ("nats_ingest", "0", "federation", "london"): 1,
        ("choria_request_transformer", "0", "unconnected", "london"): 1,
        ("nats_egest", "0", "collective", "london"): 1,
    }
    assert bench.counted(FEDERATION_PUBLISHED) == {("nats_egest", "0", "collective", "london"): 2}
    assert bench.counted(f"{FEDERATION_TIME}_sum")["nats_egest", "0", "collective", "london"] == 0.5
    assert not bench.counted(FEDERATION_ERRORS)


def test_a_reply_on_its_way() -> None:
    bench = Bench(REPLIES)
    passing = bench.passing(samples.V2_REPLY)

    assert passing.outgoing.targets == ("mcollective.reply.e33b.2",)
    hop = json.loads(bench.stages.written(passing, "nats://c:4222", "nats://f:4222"))["headers"]["trace"][-1]
    assert hop[1] == "broker1.example.net (choria_nats_ingest:0, choria_reply_transformer:0, choria_nats_egest:0)"


def test_messages_go_round_among_the_workers_of_the_process() -> None:
    bench = Bench(numbers=range(1, WORKERS, 2))
    for _ in range(6):
        bench.passing(samples.V1_REQUEST)

    received = bench.counted(FEDERATION_RECEIVED)
    assert {labels[1]: value for labels, value in received.items() if labels[0] == "nats_ingest"} == {
        "1": 2,
        "3": 1,
        "5": 1,
        "7": 1,
        "9": 1,
    }


@pytest.mark.parametrize(
    ("raw", "cause", "stage"),
    [
        (b"garbage", Cause.UNREADABLE, "nats_ingest"),
        (message({}, protocol="x"), Cause.PROTOCOL, "nats_ingest"),
        (message({"reply-to": "a"}), Cause.NOT_FEDERATED, "nats_ingest"),
        (message(None), Cause.HEADERS, "nats_ingest"),
        (message({}, data="!"), Cause.DATA, "nats_ingest"),
        (message({"reply-to": "a", "federation": {}}), Cause.NO_TARGETS, "choria_request_transformer"),
        (message({"federation": {"target": ["a"]}}), Cause.NO_REPLY, "choria_request_transformer"),
        (
            message({"reply-to": "a", "federation": {"target": ["$JS.API.INFO", "$SYS.a"]}}),
            Cause.BAD_TARGETS,
            "choria_request_transformer",
        ),
    ],
)
def test_what_is_dropped_is_one_error_of_one_stage(raw: bytes, cause: Cause, stage: str) -> None:
    bench = Bench()

    assert bench.stages.take(raw) is cause

    assert {labels[0]: value for labels, value in bench.counted(FEDERATION_ERRORS).items()} == {stage: 1}
    assert stage not in {labels[0] for labels in bench.counted(FEDERATION_RECEIVED)}
    assert bench.counted(f"{FEDERATION_TIME}_count")["nats_ingest", "0", "federation", "london"] == 1


def test_refused_targets_are_one_error() -> None:
    bench = Bench()
    passing = bench.passing(message({"reply-to": "a", "federation": {"target": ["a.b", "$x", "a.*"]}}))

    assert passing.outgoing.targets == ("a.b",)
    assert sum(bench.counted(FEDERATION_ERRORS).values()) == 1


def test_publications_that_fail_are_errors() -> None:
    bench = Bench()
    passing = bench.passing(samples.V1_REQUEST)
    bench.stages.published(passing, 0, 2, 0.1)

    assert bench.counted(FEDERATION_ERRORS) == {("nats_egest", "0", "collective", "london"): 2}
    assert not bench.counted(FEDERATION_PUBLISHED)


def test_messages_that_found_no_room_are_errors() -> None:
    bench = Bench()
    bench.stages.overflowed(12)

    errors = bench.counted(FEDERATION_ERRORS)
    assert {labels[0] for labels in errors} == {"nats_ingest"}
    assert sum(errors.values()) == 12


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(valid_messages(request=True) | valid_messages(request=False))
def test_each_message_is_passed_on_or_is_one_error(document: dict[str, Any]) -> None:
    for route in (REQUESTS, REPLIES):
        bench = Bench(route)
        found = bench.stages.take(encoded(document))
        errors = sum(bench.counted(FEDERATION_ERRORS).values())
        assert errors == (0 if isinstance(found, Passing) else 1)
