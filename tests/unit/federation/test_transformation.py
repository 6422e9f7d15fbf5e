"""Requests and replies, as a federation broker edits them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choria_broker.companions.subjects import may_publish
from choria_broker.federation.transformation import Outgoing, Subjects, reply, request
from choria_broker.federation.transport import Cause, Transport, read, write
from support import transports as samples
from support.fuzzing import examples
from support.transports import HOP, REPLY_HOP, encoded, message, valid_messages

LONDON = Subjects.of("london")


def made(raw: bytes, *, of_request: bool = True) -> Outgoing | Cause:
    transport = read(raw)
    assert isinstance(transport, Transport), transport
    return (request if of_request else reply)(transport, LONDON)


def outgoing(raw: bytes, *, of_request: bool = True) -> Outgoing:
    result = made(raw, of_request=of_request)
    assert isinstance(result, Outgoing), result
    return result


@pytest.mark.parametrize(
    ("raw", "expected", "targets"),
    [
        (
            samples.V1_REQUEST,
            samples.V1_REQUEST_OUT,
            ("mcollective.node.web1.example.net", "mcollective.node.web2.example.net"),
        ),
        (samples.V2_REQUEST, samples.V2_REQUEST_OUT, ("mcollective.node.web1.example.net",)),
    ],
)
def test_captured_requests(raw: bytes, expected: bytes, targets: tuple[str, ...]) -> None:
    result = outgoing(raw)

    assert write(result.transport, HOP) == expected
    assert result.targets == targets
    assert result.refused == 0


@pytest.mark.parametrize(
    ("raw", "expected", "target"),
    [
        (samples.V1_REPLY, samples.V1_REPLY_OUT, "mcollective.reply.e33bf0376d4accbb4a8fd24b2f840b2e.1"),
        (samples.V2_REPLY, samples.V2_REPLY_OUT, "mcollective.reply.e33b.2"),
    ],
)
def test_captured_replies(raw: bytes, expected: bytes, target: str) -> None:
    result = outgoing(raw, of_request=False)

    assert write(result.transport, REPLY_HOP) == expected
    assert result.targets == (target,)


def federated(*targets: str, reply_to: str = "a.reply") -> bytes:
    return message({"reply-to": reply_to, "federation": {"req": "1", "target": list(targets)}})


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (message({"reply-to": "a"}), Cause.NOT_FEDERATED),
        (message({"reply-to": "a", "federation": {}}), Cause.NO_TARGETS),
        (message({"federation": {}}), Cause.NO_TARGETS),
        (federated("a.node.b", reply_to=""), Cause.NO_REPLY),
        (federated("a.node.b", reply_to="$JS.API.INFO"), Cause.BAD_REPLY),
        (federated("a.node.b", reply_to="a.*"), Cause.BAD_REPLY),
        (federated("a.node.b", reply_to="a\r\nPUB b 0"), Cause.BAD_REPLY),
        (federated("a.node.b", reply_to="choria.federation.london.federation"), Cause.BAD_REPLY),
        (federated("$JS.API.INFO"), Cause.BAD_TARGETS),
        (federated(""), Cause.BAD_TARGETS),
        (federated("choria.federation.london.federation"), Cause.BAD_TARGETS),
        (federated("choria.federation.london.collective"), Cause.BAD_TARGETS),
        (federated("a..b", "a b", "a\r\nPUB x 0\r\n\r\n"), Cause.BAD_TARGETS),
    ],
)
def test_requests_that_are_dropped(raw: bytes, cause: Cause) -> None:
    assert made(raw) is cause


@pytest.mark.parametrize(
    ("federation", "cause"),
    [
        (None, Cause.NOT_FEDERATED),
        ({}, Cause.NO_REPLY),
        ({"reply-to": ""}, Cause.NO_REPLY),
        ({"reply-to": "$SYS.REQ.SERVER.PING"}, Cause.BAD_REPLY),
        ({"reply-to": "a.>"}, Cause.BAD_REPLY),
        ({"reply-to": "choria.federation.london.collective"}, Cause.BAD_REPLY),
        ({"reply-to": "choria.federation.london.federation"}, Cause.BAD_REPLY),
    ],
)
def test_replies_that_are_dropped(federation: object, cause: Cause) -> None:
    assert made(message({"federation": federation}), of_request=False) is cause


def test_one_bad_target_stops_no_other() -> None:
    result = outgoing(federated("a.node.one", "$SYS.x", "a.node.two", "a.node.*"))

    assert result.targets == ("a.node.one", "a.node.two")
    assert result.refused == 2


def test_subjects_of_other_clusters_are_ordinary_ones() -> None:
    assert outgoing(federated("choria.federation.paris.federation")).targets == ("choria.federation.paris.federation",)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(valid_messages(request=True))
def test_a_reply_finds_its_way_back(document: dict[str, Any]) -> None:
    """A server copies federation object and hops into its reply, whose edits are the inverse of the request's."""
    version_1 = document["protocol"] == "choria:transport:1"
    back, trace, targets, kept = (
        ("reply-to", "seen-by", "target", "reply-to") if version_1 else ("reply", "trace", "targets", "reply")
    )
    asked = outgoing(encoded(document))
    sent = json.loads(write(asked.transport, HOP))

    assert list(asked.targets) == document["headers"]["federation"][targets]
    assert sent["data"] == document["data"]
    assert sent["headers"][back] == LONDON.collective
    assert sent["headers"]["federation"].pop(kept) == document["headers"][back]
    assert targets not in sent["headers"]["federation"]
    assert sent["headers"]["federation"] == {
        name: value for name, value in document["headers"]["federation"].items() if name != targets
    }

    headers = {
        name: value for name, value in json.loads(write(asked.transport, HOP))["headers"].items() if name != back
    }
    answered = outgoing(encoded({**document, "headers": headers}), of_request=False)
    arrived = json.loads(write(answered.transport, REPLY_HOP))

    assert answered.targets == (document["headers"][back],)
    assert arrived["headers"].pop(trace) == [*document["headers"].get(trace, []), list(HOP), list(REPLY_HOP)]
    rest = {name: value for name, value in document["headers"].items() if name not in (back, trace, "federation")}
    assert arrived == {**document, "headers": rest}


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(valid_messages(request=True) | valid_messages(request=False))
def test_whatever_comes_out_may_be_published(document: dict[str, Any]) -> None:
    for of_request in (True, False):
        result = made(encoded(document), of_request=of_request)
        if isinstance(result, Outgoing):
            assert result.targets
            assert all(may_publish(target) for target in result.targets)
            assert not {LONDON.federation, LONDON.collective} & {*result.targets}


@given(valid_messages(request=True) | valid_messages(request=False), st.lists(st.booleans(), min_size=3, max_size=3))
def test_between_any_two_federation_brokers_no_message_goes_in_circles(
    document: dict[str, Any], ways: list[bool]
) -> None:
    message = encoded(document)
    for passes, request_ in enumerate(ways):
        # Each of the two is asked in turn, whatever the message's own targets are.
        transport, other = read(message), Subjects.of(f"cluster{passes % 2}")
        assert isinstance(transport, Transport)
        outgoing = request(transport, other) if request_ else reply(transport, other)
        if isinstance(outgoing, Cause):
            return
        message = write(outgoing.transport, HOP)
    raise AssertionError("it was passed on again and again")
