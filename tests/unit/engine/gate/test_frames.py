from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.decision import decide_for_engine
from choria_broker.access.request import Certificate, ConnectionKind, TlsState
from choria_broker.access.verdict import Permissions, SubjectRules, Verdict
from choria_broker.access.ways import Ways
from choria_broker.engine.gate import frames
from choria_broker.security.conditions import Condition
from support.vector_cases import CASES, NOW

QUESTION = {
    "type": "question",
    "id": 7,
    "deadline": 1_700_000_000_000,
    "a field of a later version": True,
}
REQUEST = {
    "connection_id": 3,
    "kind": "leafnode",
    "tls": "mtls",
    "address": "192.0.2.1",
    "nonce": "abc",
    "user": "bob",
    "password": "hunter2",
    "token": "tok.en",
    "signature": "sig",
    "name": "cli",
    "certificate": {"common_name": "node1", "serial": "0a", "issuer": "CN=ca", "fingerprint": "ff"},
    "a field of a later version": True,
}


def asked(**changes: object) -> bytes:
    return json.dumps(QUESTION | {"request": REQUEST | changes}).encode()


def test_a_question_becomes_a_request() -> None:
    question = frames.decode(asked())
    assert isinstance(question, frames.Question)
    request = question.request
    assert (request.kind, request.tls, request.address) == (ConnectionKind.LEAFNODE, TlsState.MTLS, "192.0.2.1")
    assert (request.user, request.password, request.token) == ("bob", "hunter2", "tok.en")
    assert (request.signature, request.nonce, request.name) == ("sig", "abc", "cli")
    assert request.certificate == Certificate("node1", "0a", "CN=ca", "ff")
    assert request.connection_id == 3


def test_neither_question_nor_request_shows_secrets() -> None:
    question = frames.decode(asked())
    assert isinstance(question, frames.Question)
    shown = repr(question) + repr(question.request)
    assert "hunter2" not in shown
    assert "tok.en" not in shown
    assert "'sig'" not in shown


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"type": "losses", "x": ' + b"[" * 100_000,
        json.dumps(QUESTION | {"request": REQUEST, "id": 1 << 70}).encode(),
        json.dumps(QUESTION | {"request": REQUEST, "deadline": 10**400}).encode(),
        b"\xff\xfe",
        b'{"type": "verdict", "id": 1}',
        b'{"type": "question", "id": "1"}',
        b'{"type": "question", "id": 1}',
        asked(kind="router"),
    ],
)
def test_what_is_no_frame_of_the_engine_is_refused_without_repeating_it(payload: bytes) -> None:
    with pytest.raises(frames.FrameError) as caught:
        frames.decode(payload)
    assert "router" not in str(caught.value)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_as_no_frame(payload: bytes) -> None:
    with pytest.raises(frames.FrameError, match="gate protocol"):
        frames.decode(payload)


def payload_of(data: bytes) -> dict[str, object]:
    (length,) = struct.unpack(">I", data[:4])
    assert length == len(data) - 4
    decoded = json.loads(data[4:])
    assert isinstance(decoded, dict)
    return decoded


def test_a_refusal_carries_nothing_but_itself() -> None:
    verdict = Verdict(allowed=False, rule="r", reason="secret reason", account="choria", username="x")
    wire = frames.wire_verdict(verdict, question_id=5, generation=2)
    assert payload_of(frames.encode(wire)) == {
        "type": "verdict",
        "id": 5,
        "generation": 2,
        "allow": False,
        "account": "",
        "username": "",
        "permissions": None,
        "max_subscriptions": 0,
        "holder": None,
        "conditions": [],
        "proof": "",
        "reach": None,
    }


def test_everything_is_written_as_null_and_limits_as_lists() -> None:
    verdict = Verdict(
        allowed=True,
        rule="r",
        reason="",
        account="choria",
        username="bob",
        permissions=Permissions(publish=SubjectRules(("a.>",), ("b",)), subscribe=SubjectRules(None, (">",))),
    )
    wire = payload_of(frames.encode(frames.wire_verdict(verdict, question_id=5, generation=2)))
    assert wire["permissions"] == {
        "publish": {"allow": ["a.>"], "deny": ["b"]},
        "subscribe": {"allow": None, "deny": [">"]},
    }


def test_what_a_token_has_signed_goes_not_back() -> None:
    about_token = Condition(b"k" * 32, b"s" * 64, b"head.claims")
    of_chain = Condition(b"c" * 32, b"t" * 64, b"id")
    verdict = Verdict(allowed=True, rule="r", reason="", account="choria", conditions=(about_token, of_chain))
    token = "head.claims.signature"
    wire = frames.wire_verdict(verdict, question_id=5, generation=2, token=token)
    assert wire.conditions == (
        frames.WireCondition(b"k" * 32, b"s" * 64),
        frames.WireCondition(b"c" * 32, b"t" * 64, b"id"),
    )
    written = payload_of(frames.encode(wire))["conditions"]
    assert isinstance(written, list)
    assert "message" not in written[0]


def test_of_every_vector_the_engine_has_what_is_to_be_signed() -> None:
    left_out = 0
    for case in CASES:
        token = case.request.token
        verdict = decide_for_engine(case.request, case.policy, NOW, Ways())
        wire = frames.wire_verdict(verdict, question_id=1, generation=1, token=token)
        for sent, meant in zip(wire.conditions, verdict.conditions, strict=True):
            left_out += sent.message is None
            message = (
                token[: token.rindex(".")].encode() if sent.message is None else sent.message
            )  # as the engine does
            assert (sent.key, sent.signature, message) == (meant.key, meant.signature, meant.message)
    assert left_out


@pytest.mark.parametrize("token", ["", "head", " head.claims.x", "head.claims", "head.claims.x.y", "\ud800.x.y"])
def test_what_another_text_has_signed_does(token: str) -> None:
    condition = Condition(b"k" * 32, b"s" * 64, b"head.claims")
    verdict = Verdict(allowed=True, rule="r", reason="", account="choria", conditions=(condition,))
    wire = frames.wire_verdict(verdict, question_id=5, generation=2, token=token)
    assert wire.conditions[0].message == b"head.claims"


def test_a_verdict_over_the_size_limit_is_not_written() -> None:
    rules = SubjectRules(tuple(f"{'x' * 1000}.{number}" for number in range(1100)))
    verdict = Verdict(allowed=True, rule="r", reason="", account="choria", permissions=Permissions(publish=rules))
    with pytest.raises(frames.FrameError, match="over the limit"):
        frames.encode(frames.wire_verdict(verdict, question_id=1, generation=1))
