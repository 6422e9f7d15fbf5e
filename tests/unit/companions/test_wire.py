"""The client's side of the NATS protocol: taken apart however it arrives."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.companions.wire import (
    Feed,
    Message,
    WireError,
    published,
    published_to,
    subscribed,
    unsubscribed,
)

STREAM = (
    b"MSG a.b 1 5\r\nhello\r\nPING\r\nMSG a.c 2 _INBOX.x 0\r\n\r\n"
    b"HMSG a.d 1 r 14 16\r\nNATS/1.0 503\r\nhi\r\nHMSG a.e 3 4 4\r\nNATS\r\n+OK\r\n-ERR 'x'\r\n"
)
MESSAGES: dict[int, list[Message]] = {
    1: [(b"a.b", b"", b"", b"hello"), (b"a.d", b"r", b"NATS/1.0 503\r\n", b"hi")],
    2: [(b"a.c", b"_INBOX.x", b"", b"")],
    3: [(b"a.e", b"", b"NATS", b"")],
}
LINES = [b"PING", b"+OK", b"-ERR 'x'"]


def test_messages_and_lines() -> None:
    feed = Feed()
    assert feed.take(STREAM[:60]) == ({1: MESSAGES[1][:1], 2: MESSAGES[2]}, LINES[:1])
    assert feed.take(STREAM[60:]) == ({1: MESSAGES[1][1:], 3: MESSAGES[3]}, LINES[1:])


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    feed = Feed()
    places = [0, *sorted(cuts), len(STREAM)]
    messages: dict[int, list[Message]] = {}
    lines: list[bytes] = []
    for begin, end in itertools.pairwise(places):
        found, more = feed.take(STREAM[begin:end])
        for number, batch in found.items():
            messages.setdefault(number, []).extend(batch)
        lines += more
    assert (messages, lines) == (MESSAGES, LINES)


@pytest.mark.parametrize(
    "data",
    [
        b"MSG a 1\r\n",
        b"MSG a 1 x\r\n",
        b"MSG a x 1\r\n1\r\n",
        b"MSG a 1 b c d 1\r\n",
        b"MSG a 1 -5\r\n",
        b"MSG a 1 999999999999\r\n",
        b"MSG a 1 9999999999999999999999\r\n",
        b"HMSG a 1 5\r\n",
        b"HMSG a 1 9 5\r\n",
        b"x" * 2_000_000,
    ],
)
def test_what_is_not_the_protocol_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        Feed().take(data)


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_no_bytes_raise_anything_else(pieces: list[bytes]) -> None:
    feed = Feed()
    try:
        for each in pieces:
            feed.take(each)
    except WireError:
        pass


def test_commands() -> None:
    assert published(b"a.b", b"data") == b"PUB a.b 4\r\ndata\r\n"
    assert published(b"a.b", b"", b"r") == b"PUB a.b r 0\r\n\r\n"
    assert published_to([b"a", b"b"], b"x") == published(b"a", b"x") + published(b"b", b"x")
    assert subscribed("a.>", "q", 7) == b"SUB a.> q 7\r\n"
    assert subscribed("a.>", "", 7) == b"SUB a.> 7\r\n"
    assert unsubscribed(7) == b"UNSUB 7\r\n"
