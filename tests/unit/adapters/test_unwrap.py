"""What is in a message, in both versions, and what is none."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.adapters.document import document
from choria_broker.adapters.unwrap import UnwrapError, Unwrapped, unwrap
from support.registrations import (
    BODY,
    REQUEST,
    SENDER,
    TIME,
    inner_v1,
    inner_v2,
    message,
    packed,
    secure_v1,
    secure_v2,
    text,
    transported,
)

SECOND = 10**9
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("request_", [True, False])
def test_version_1_keeps_the_text_of_the_body(request_: bool) -> None:
    assert unwrap(message(request=request_), request=request_) == Unwrapped(BODY, SENDER, TIME * SECOND, REQUEST)


@pytest.mark.parametrize("request_", [True, False])
def test_version_2_decodes_the_body(request_: bool) -> None:
    found = unwrap(message(version=2, request=request_, body=b"\xff<a>"), request=request_)
    assert found == Unwrapped("\ufffd<a>", SENDER, TIME * SECOND, REQUEST)


def test_an_empty_body() -> None:
    assert unwrap(message(request=False, body=""), request=False).body == ""
    assert unwrap(message(version=2, request=False, body=b""), request=False).body == ""
    with pytest.raises(UnwrapError, match="without a body"):
        unwrap(message(body=""), request=True)


def test_headers_may_be_missing_but_not_be_something_else() -> None:
    whole = json.loads(message(version=2, request=False))
    del whole["headers"]
    assert unwrap(text(whole), request=False).sender == SENDER
    others: list[object] = [None, [], "x", 1, True]
    for headers in others:
        with pytest.raises(UnwrapError, match="no headers"):
            unwrap(text(whole | {"headers": headers}), request=False)


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


V1, V2 = inner_v1(request=True), inner_v2(request=True)
REPLY = inner_v2(request=False)
BAD: list[tuple[bytes, bool]] = [
    (b"", True),
    (b"[]", True),
    (b'"x"', True),
    (b"{}", True),
    (b"\xff\xfe", True),
    (b'{"protocol":"choria:transport:1","data":"","headers":null}', True),
    (b'{"protocol":"choria:transport:1","data":"","headers":{}}', True),
    (b'{"protocol":"choria:transport:1","data":"***","headers":{}}', True),
    (b'{"protocol":"choria:transport:1","data":7,"headers":{}}', True),
    (b'{"protocol":"choria:transport:1","data":"\\ud800","headers":{}}', True),
    (text({"protocol": "choria:transport:3", "data": packed({}), "headers": {}}), True),
    (message(request=False), True),
    (message(request=True), False),
    (message(version=2, request=False), True),
    (message(version=2, request=True), False),
    (transported(secure_v1(V1, request=True), 2), True),
    (transported(secure_v2(V2, request=True), 1), True),
    (transported(without(secure_v1(V1, request=True), "signature")), True),
    (transported(without(secure_v2(V2, request=True), "signature"), 2), True),
    (transported(secure_v1(inner_v1(request=False), request=True)), True),
    (transported(secure_v2(REPLY, request=True), 2), True),
    (transported(secure_v2(V2, request=False), 2), False),
    (transported(secure_v1(without(V1, "envelope"), request=True)), True),
    *(
        (transported(secure_v1(V1 | {"envelope": without(V1["envelope"], name)}, request=True)), True)
        for name in ("requestid", "senderid", "callerid", "collective", "agent", "ttl", "time", "filter")
    ),
    *(
        (transported(secure_v2(without(V2, name), request=True), 2), True)
        for name in ("id", "sender", "caller", "collective", "ttl", "time", "filter", "message", "protocol")
    ),
    *((transported(secure_v2(without(REPLY, name), request=False), 2), False) for name in ("request", "sender")),
    (message(time=-1), True),
    (message(time=10**15), True),
    (message(version=2, time=10**22), True),
    (transported(secure_v2(V2 | {"message": "*"}, request=True), 2), True),
    (transported(secure_v2(V2, request=True) | {"request": "*"}, 2), True),
]


DEEP = "[" * 50_000 + "]" * 50_000
NESTED: list[bytes] = [
    b'{"protocol":"choria:transport:1","data":"","headers":{"x":%b}}' % DEEP.encode(),
    b'{"protocol":"choria:transport:1","data":"","headers":{},"x":%b}' % DEEP.encode(),
    transported(secure_v1(V1, request=True) | {"message": json.dumps(V1).replace('"fact": []', f'"fact": {DEEP}')}),
    transported({"protocol": "x", "y": 1}).replace(
        packed({"protocol": "x", "y": 1}).encode(), base64.b64encode(b'{"protocol":"x","y":%b}' % DEEP.encode())
    ),
]


@pytest.mark.parametrize("data", NESTED)
def test_what_is_nested_too_deeply_is_no_message(data: bytes) -> None:
    with pytest.raises(UnwrapError, match="nested too deeply"):
        unwrap(data, request=True)


@pytest.mark.parametrize("version", [1, 2])
def test_ends_of_lines_in_base64_do_not_count(version: int) -> None:
    whole = json.loads(message(version=version))
    whole["data"] = re.sub("(.{60})", "\\1\\r\\n", whole["data"])
    assert unwrap(text(whole), request=True).sender == SENDER


def test_bytes_that_are_no_text_are_replaced_in_version_1_too() -> None:
    secure = text(secure_v1(inner_v1(request=False, body="BODY"), request=False)).replace(b"BODY", b"\xff<a>")
    data = base64.b64encode(secure).decode()
    whole = text({"protocol": "choria:transport:1", "data": data, "headers": {"mc_sender": "SENDER"}})
    assert unwrap(whole.replace(b"SENDER", b"\xfc"), request=False).body == "\ufffd<a>"


@pytest.mark.parametrize(("data", "request_"), BAD)
def test_what_is_no_message_is_told_apart(data: bytes, request_: bool) -> None:
    with pytest.raises(UnwrapError):
        unwrap(data, request=request_)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_raise_anything_else(data: bytes, request_: bool) -> None:
    with pytest.raises(UnwrapError):
        unwrap(data, request=request_)


@given(VALUES, VALUES, VALUES, st.booleans(), st.sampled_from([1, 2]), st.integers(0, 3))
def test_no_document_raises_anything_else(
    one: object, two: object, three: object, request_: bool, version: int, depth: int
) -> None:
    inner, secure = (inner_v1, secure_v1) if version == 1 else (inner_v2, secure_v2)
    made: dict[str, Any] = inner(request=request_)
    if depth == 0:
        made = {**made, "time": one, "sender": two, "message": three}
    elif depth == 1:
        made = {**made, "envelope": one} if version == 1 else {**made, "request": one, "id": two}
    wrapped = secure(made, request=request_)
    if depth == 2:
        wrapped = {**wrapped, "message": one, "request": two, "reply": three}
    whole = transported(wrapped, version) if depth < 3 else text({"protocol": one, "data": two, "headers": three})
    try:
        found = unwrap(whole, request=request_)
    except UnwrapError:
        return
    assert json.loads(document(found))["data"] == found.body


@given(st.text(), st.text(min_size=1), st.integers(0, 253402300799), st.booleans())
def test_what_was_put_in_comes_out(body: str, sender: str, seconds: int, request_: bool) -> None:
    body = body.encode(errors="replace").decode()
    sender = sender.encode(errors="replace").decode()
    if not (request_ and not body):
        found = unwrap(message(request=request_, body=body, sender=sender, time=seconds), request=request_)
        assert found == Unwrapped(body, sender, seconds * SECOND, REQUEST)
    found = unwrap(
        message(version=2, request=request_, body=body.encode(), sender=sender, time=seconds * SECOND + 7),
        request=request_,
    )
    assert found == Unwrapped(body, sender, seconds * SECOND + 7, REQUEST)
