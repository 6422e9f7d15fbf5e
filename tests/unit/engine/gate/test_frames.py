"""What of a verdict goes over the gate."""

from __future__ import annotations

import json
import struct

import pytest

from choria_broker.access.decision import decide_for_engine
from choria_broker.access.verdict import Permissions, SubjectRules, Verdict
from choria_broker.access.ways import Ways
from choria_broker.engine.gate import codec, frames
from choria_broker.security.conditions import Condition
from support.vector_cases import CASES, NOW


def payload_of(data: bytes) -> dict[str, object]:
    (length,) = struct.unpack(">I", data[:4])
    assert length == len(data) - 4
    decoded = json.loads(data[4:])
    assert isinstance(decoded, dict)
    return decoded


def test_a_refusal_carries_nothing_but_itself() -> None:
    verdict = Verdict(allowed=False, rule="r", reason="secret reason", account="choria", username="x")
    wire = frames.wire_verdict(verdict, question_id=5, generation=2)
    assert payload_of(codec.encode(wire)) == {
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
    wire = payload_of(codec.encode(frames.wire_verdict(verdict, question_id=5, generation=2)))
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
    written = payload_of(codec.encode(wire))["conditions"]
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
