"""Transport messages, taken apart and put together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choria_broker.federation.transport import Cause, Transport, read, write
from support.fuzzing import examples
from support.transports import HOP, JSON, V1_REPLY, V1_REQUEST, V2_REPLY, V2_REQUEST, encoded, message, valid_messages

V2 = "io.choria.protocol.v2.transport"
FEDERATED = {"reply-to": "a.b", "federation": {"req": "1", "target": ["a.node.b"]}}


def taken(raw: bytes) -> Transport:
    transport = read(raw)
    assert isinstance(transport, Transport), transport
    return transport


def test_version_1() -> None:
    transport = taken(V1_REQUEST)

    assert transport.reply == "mcollective.reply.e33bf0376d4accbb4a8fd24b2f840b2e.1"
    assert transport.sender == "client.example.net"
    assert transport.hops == (
        ("nats://choria1.fed.example.net:4222", "client.example.net", "nats://choria1.fed.example.net:4222"),
    )
    assert transport.federation is not None
    assert transport.federation.request == "a1b2c3"
    assert transport.federation.targets == ("mcollective.node.web1.example.net", "mcollective.node.web2.example.net")
    assert transport.federation.reply == ""


def test_version_2() -> None:
    transport = taken(V2_REPLY)

    assert (transport.reply, transport.sender, transport.hops) == ("", "web1.example.net", ())
    assert transport.federation is not None
    assert (transport.federation.request, transport.federation.reply) == ("a1b2c4", "mcollective.reply.e33b.2")
    assert transport.federation.targets == ()


def test_federated_is_who_has_the_object() -> None:
    assert taken(message({"federation": {}})).federation is not None
    assert taken(message({})).federation is None
    assert taken(message({"federation": None})).federation is None
    assert taken(encoded({"protocol": V2, "data": ""})).federation is None


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", Cause.UNREADABLE),
        (b"garbage", Cause.UNREADABLE),
        (b"null", Cause.UNREADABLE),
        (b"[]", Cause.UNREADABLE),
        (b"{", Cause.UNREADABLE),
        (V1_REQUEST[:-1], Cause.UNREADABLE),
        (V1_REQUEST + b"x", Cause.UNREADABLE),
        (b'{"protocol":"choria:transport:1","data":"","x":"\xff","headers":{}}', Cause.UNREADABLE),
        (b'{"protocol":"choria:transport:1","headers":' + b"[" * 100_000, Cause.UNREADABLE),
        (b'{"protocol":"choria:transport:1","headers":{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}}", Cause.UNREADABLE),
        (b'{"protocol":"choria:transport:1","data":"","headers":{"reply-to":"\\ud800 "}}', Cause.UNREADABLE),
        (b"{}", Cause.PROTOCOL),
        (message({}, protocol="choria:transport:2"), Cause.PROTOCOL),
        (message({}, protocol=""), Cause.PROTOCOL),
        (message({}, protocol=None), Cause.PROTOCOL),  # type: ignore[arg-type]
        (message({}, protocol=1), Cause.PROTOCOL),  # type: ignore[arg-type]
        (message(None), Cause.HEADERS),
        (message(None, protocol=V2), Cause.HEADERS),
        (message([]), Cause.HEADERS),
        (message("x"), Cause.HEADERS),
        (message({"reply-to": 1}), Cause.HEADERS),
        (message({"mc_sender": []}), Cause.HEADERS),
        (message({"seen-by": "a"}), Cause.HEADERS),
        (message({"seen-by": [["a", "b"]]}), Cause.HEADERS),
        (message({"seen-by": [["a", "b", "c", "d"]]}), Cause.HEADERS),
        (message({"seen-by": [["a", "b", 1]]}), Cause.HEADERS),
        (message({"federation": []}), Cause.HEADERS),
        (message({"federation": {"target": "a"}}), Cause.HEADERS),
        (message({"federation": {"target": [1]}}), Cause.HEADERS),
        (message({"federation": {"target": [None]}}), Cause.HEADERS),
        (message({"federation": {"req": {}}}), Cause.HEADERS),
        (message({"federation": {"reply-to": 5}}), Cause.HEADERS),
        (message({"federation": {"targets": 5}}, protocol=V2), Cause.HEADERS),
        (message(FEDERATED, data="!"), Cause.DATA),
        (message(FEDERATED, data="eyJ4IjoxfQ"), Cause.DATA),
        (message(FEDERATED, data="eyJ4IjoxfQ="), Cause.DATA),
        (message(FEDERATED, data="=eyJ4IjoxfQ"), Cause.DATA),
        (message(FEDERATED, data="eyJ="), None),
        (message(FEDERATED, data="e==="), Cause.DATA),
        (message(FEDERATED, data="===="), Cause.DATA),
        (message(FEDERATED, data="eyJ4 joxfQ=="), Cause.DATA),
        (message(FEDERATED, data="eyJ4_joxfQ=="), Cause.DATA),
        (message(FEDERATED, data="\u00e9yJ4"), Cause.DATA),
        (message(FEDERATED, data="eyJ4\\"), Cause.DATA),
        (message(FEDERATED, data=None), Cause.DATA),
        (message(FEDERATED, data=1234), Cause.DATA),
        (message(FEDERATED, data={"\n": 1}), Cause.DATA),
        (message(FEDERATED, data="eyJ4\r\nIjoxfQ==\n"), None),
        (message(FEDERATED, data=""), None),
        (message({"Reply-To": "$JS.API.INFO", **FEDERATED}), Cause.SPELLING),
        (message({"\u017feen-by": [], **FEDERATED}), Cause.SPELLING),
        (message({"federation": {"TARGET": ["a"]}}), Cause.SPELLING),
        (message(FEDERATED, Headers={}), Cause.SPELLING),
        (message({"reply": "a", "sender": "b", "trace": 1}), None),
        (message({"reply-to": None, "mc_sender": None, "seen-by": None}), None),
    ],
)
def test_what_is_no_message(raw: bytes, cause: Cause | None) -> None:
    found = read(raw)

    assert found is cause if cause else isinstance(found, Transport)


def test_slashes_may_be_escaped() -> None:
    """Some languages write them so."""
    assert isinstance(read(b'{"protocol":"choria:transport:1","data":"a\\/b=","headers":{}}'), Transport)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([V1_REQUEST, V2_REQUEST, V1_REPLY, V2_REPLY]), st.data())
def test_nothing_makes_it_raise(raw: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 8)))

    found = read(raw[:start] + data.draw(st.binary(max_size=8)) + raw[end:])

    assert isinstance(found, Transport | Cause)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["reply-to", "mc_sender", "seen-by", "federation", "reply", "trace", "x"]), JSON, st.booleans())
def test_values_of_any_type(name: str, value: object, inside: bool) -> None:
    headers = {"federation": {name: value}} if inside else {name: value}

    found = read(message(headers))

    if isinstance(found, Transport):
        json.loads(write(found, HOP))


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(valid_messages(request=True) | valid_messages(request=False))
def test_put_together_it_is_what_it_was_and_a_hop(document: dict[str, Any]) -> None:
    transport = taken(encoded(document))

    again = json.loads(write(transport, HOP))

    trace = "seen-by" if document["protocol"] == "choria:transport:1" else "trace"
    assert again["headers"].pop(trace) == [*document["headers"].pop(trace, []), list(HOP)]
    assert again == document


def test_the_payload_keeps_its_bytes() -> None:
    raw = b'{"headers":{"x": 1.50, "reply-to":"a"},"data":"a\\/b\\n=","protocol":"choria:transport:1","more": [1 , 2]}'

    written = write(taken(raw), HOP)

    assert b'"data":"a\\/b\\n="' in written
    assert b'"x":1.50' in written
    assert b'"more":[1 , 2]' in written


def test_the_last_of_two_fields_counts() -> None:
    """As for the receivers, which are sent only that one."""
    raw = b'{"protocol":"choria:transport:1","data":"","headers":{"reply-to":"a","reply-to":"b"}}'

    transport = taken(raw)

    assert transport.reply == "b"
    assert write(transport, HOP).count(b"reply-to") == 1
