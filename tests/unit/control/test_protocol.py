from __future__ import annotations

import msgspec
import pytest

from choria_broker.control.protocol import Answer, DecisionRequest, Request, StatusRequest


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (StatusRequest(), b'{"request":"status"}'),
        (DecisionRequest(connection=7), b'{"request":"decision","connection":7}'),
    ],
)
def test_requests_on_the_socket(request_: Request, line: bytes) -> None:
    assert msgspec.json.encode(request_) == line
    assert msgspec.json.decode(line, type=Request) == request_


@pytest.mark.parametrize(
    "line", [b"{}", b'{"request":"stop"}', b'{"request":"decision"}', b'{"request":"decision","connection":"7"}']
)
def test_what_is_no_request(line: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(line, type=Request)


def test_an_answer_has_a_result_or_an_error() -> None:
    assert msgspec.json.encode(Answer(result=[1])) == b'{"result":[1]}'
    assert msgspec.json.encode(Answer[list[int]](error="no")) == b'{"error":"no"}'
