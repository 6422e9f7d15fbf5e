"""What the engine sends becomes frames, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.request import Certificate, ConnectionKind, TlsState
from choria_broker.access.verdict import Permissions, SubjectRules, Verdict
from choria_broker.engine.gate import codec, frames

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
    question = codec.decode(asked())
    assert isinstance(question, frames.Question)
    request = question.request
    assert (request.kind, request.tls, request.address) == (ConnectionKind.LEAFNODE, TlsState.MTLS, "192.0.2.1")
    assert (request.user, request.password, request.token) == ("bob", "hunter2", "tok.en")
    assert (request.signature, request.nonce, request.name) == ("sig", "abc", "cli")
    assert request.certificate == Certificate("node1", "0a", "CN=ca", "ff")
    assert request.connection_id == 3


def test_neither_question_nor_request_shows_secrets() -> None:
    question = codec.decode(asked())
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
    with pytest.raises(codec.FrameError) as caught:
        codec.decode(payload)
    assert "router" not in str(caught.value)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_as_no_frame(payload: bytes) -> None:
    with pytest.raises(codec.FrameError, match="gate protocol"):
        codec.decode(payload)


def test_a_verdict_over_the_size_limit_is_not_written() -> None:
    rules = SubjectRules(tuple(f"{'x' * 1000}.{number}" for number in range(1100)))
    verdict = Verdict(allowed=True, rule="r", reason="", account="choria", permissions=Permissions(publish=rules))
    with pytest.raises(codec.FrameError, match="over the limit"):
        codec.encode(frames.wire_verdict(verdict, question_id=1, generation=1))
