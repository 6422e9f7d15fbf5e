"""Documents on their way: stored, sent to nobody, sent again, given up; none is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.adapters.flight import AGAIN, ANSWER, MOST_ATTEMPTS, MOST_BYTES, PROBE, WINDOW, End, Flight, Parcel

STORED = b'{"stream":"NODES","seq":1}'
FULL = b'{"error":{"code":503,"description":"maximum messages exceeded"},"stream":"NODES","seq":0}'
NOBODY = b"NATS/1.0 503\r\n\r\n"


def parcel() -> Parcel:
    return Parcel(b"s", b"d", 0)


def answered() -> Flight:
    flight = Flight()
    assert flight.heard(flight.sent(parcel(), 0.0), b"", STORED, 0.1)
    assert flight.answered
    return flight


@pytest.mark.parametrize("answer", [STORED, b"+OK", b"", b"{broken", b'{"error":null}'])
def test_a_stream_has_it(answer: bytes) -> None:
    flight, one = Flight(), parcel()
    assert flight.heard(flight.sent(one, 0.0), b"", answer, 0.1) == (one, End.STORED)
    assert len(flight) == 0


@pytest.mark.parametrize(
    "answer", [b"{" * 100_000, b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b'{"error":{"description":"\xff"}}']
)
def test_whoever_listens_may_answer_anything(answer: bytes) -> None:
    flight, one = Flight(), parcel()
    assert flight.heard(flight.sent(one, 0.0), b"", answer, 0.1) == (one, End.STORED)


def refused(flight: Flight, one: Parcel, now: float, answer: tuple[bytes, bytes]) -> tuple[float, object]:
    """Have a document refused until something comes of it."""
    while (end := flight.heard(flight.sent(one, now), *answer, now)) is None:
        now += flight.next_look(now)
        assert flight.again(now) == [one]
    return now, end


def test_at_the_beginning_nobody_may_be_a_stream_without_a_leader() -> None:
    flight, one, two = Flight(), parcel(), parcel()
    seconds, end = refused(flight, one, 0.0, (NOBODY, b""))
    assert (seconds, end) == (35.0, (one, End.SENT))
    assert flight.heard(flight.sent(two, seconds), NOBODY, b"", seconds) == (two, End.SENT)
    assert flight.asks(seconds)
    assert two.refused == "nobody listens"


def test_once_there_was_a_stream_nobody_is_a_loss_however_often() -> None:
    flight, now = answered(), 1.0
    for _ in range(3):
        one = parcel()
        now, end = refused(flight, one, now, (NOBODY, b""))
        assert end == (one, End.LOST)
    assert flight.answered


def test_what_may_not_be_published_is_known_by_its_subject() -> None:
    flight, one, two = Flight(), parcel(), Parcel(b"other", b"d", 0)
    flight.sent(one, 0.0)
    flight.sent(two, 0.0)
    assert flight.denied(b"other", "not permitted") is two
    assert two.refused == "not permitted"
    assert flight.denied(b"other", "not permitted") is None
    assert len(flight) == 1


def test_the_answer_of_nobodys_document() -> None:
    assert Flight().heard(7, b"", STORED, 0.0) is None


def test_where_a_stream_was_nobody_is_a_stream_that_is_away() -> None:
    flight, one = answered(), parcel()
    assert flight.heard(flight.sent(one, 1.0), NOBODY, b"", 1.0) is None
    assert flight.again(1.0) == []
    assert flight.next_look(1.0) == AGAIN
    assert flight.is_due(1.0 + AGAIN)
    assert flight.again(1.0 + AGAIN) == [one]
    assert len(flight) == 0


def test_what_is_refused_is_sent_again_and_then_given_up() -> None:
    flight, one = answered(), parcel()
    assert refused(flight, one, 1.0, (b"", FULL)) == (36.0, (one, End.LOST))
    assert (one.refused, one.attempts) == ("maximum messages exceeded", MOST_ATTEMPTS)


def test_without_any_answer_it_is_not_asked_for_any_more_for_a_while() -> None:
    flight, one, two = Flight(), parcel(), parcel()
    assert flight.asks(0.0)
    flight.sent(one, 0.0)
    flight.sent(two, 1.0)
    assert flight.overdue(ANSWER - 1) == []
    assert flight.overdue(ANSWER) == [(one, End.SENT)]
    assert not flight.asks(ANSWER)
    assert flight.asks(ANSWER + PROBE)
    assert not flight.asks(ANSWER + PROBE)
    assert flight.heard(flight.sent(parcel(), ANSWER + PROBE), b"", STORED, ANSWER + PROBE)
    assert flight.asks(ANSWER + PROBE)


def test_where_a_stream_was_no_answer_is_a_reason_to_send_again() -> None:
    flight, one, now = answered(), parcel(), 1.0
    for _ in range(MOST_ATTEMPTS - 1):
        flight.sent(one, now)
        now += ANSWER
        assert flight.overdue(now) == []
        now += AGAIN
        assert flight.again(now) == [one]
    flight.sent(one, now)
    assert flight.overdue(now + ANSWER) == [(one, End.LOST)]
    assert not flight.answered


def test_after_a_disconnection_everything_is_sent_again_in_order() -> None:
    flight, parcels = answered(), [parcel() for _ in range(5)]
    for each in parcels:
        flight.sent(each, 1.0)
    flight.disconnected()
    assert flight.again(1.0) == parcels
    assert [each.attempts for each in parcels] == [0] * 5


def test_what_was_not_sent_comes_back() -> None:
    flight, one = Flight(), parcel()
    flight.unsent(flight.sent(one, 0.0), one)
    assert (one.attempts, flight.again(0.0)) == (0, [one])
    flight.unsent(0, one)
    assert flight.again(0.0) == [one]
    flight.forget(flight.sent(one, 0.0))
    assert len(flight) == 0
    assert flight.next_look(0.0) == ANSWER


def test_there_is_a_bound() -> None:
    flight = Flight()
    for _ in range(WINDOW):
        assert not flight.full
        flight.sent(parcel(), 0.0)
    assert flight.full


def test_bytes_are_bounded_too_and_none_are_forgotten() -> None:
    flight, large = Flight(), [Parcel(b"s", b"d" * (MOST_BYTES // 4), 0) for _ in range(4)]

    def is_full() -> bool:
        return flight.full

    numbers = [flight.sent(each, 0.0) for each in large]
    assert is_full()
    assert flight.heard(numbers[0], b"", STORED, 0.0)
    flight.unsent(numbers[1], large[1])
    flight.forget(numbers[2])
    flight.disconnected()
    assert flight.again(0.0) == [large[3], large[1]]
    for each in large:
        assert not is_full()
        flight.sent(each, 0.0)
    assert is_full()
    assert flight.overdue(ANSWER) == []
    assert flight.again(ANSWER + AGAIN) == large
    flight.sent(large[0], ANSWER)
    assert not is_full()


@given(st.lists(st.sampled_from(["sent", "stored", "full", "nobody", "wait", "disconnected", "again"]), max_size=60))
def test_none_is_forgotten(steps: list[str]) -> None:
    flight, now, numbers, ends, made = Flight(), 0.0, list[int](), 0, 0
    for step in steps:
        if step == "sent":
            made += 1
            numbers.append(flight.sent(parcel(), now))
        elif step == "again":
            numbers += [flight.sent(each, now) for each in flight.again(now)]
        elif step == "disconnected":
            flight.disconnected()
        elif step == "wait":
            now += ANSWER
            ends += len(flight.overdue(now))
        elif numbers:
            headers, data = {"stored": (b"", STORED), "full": (b"", FULL), "nobody": (NOBODY, b"")}[step]
            ends += flight.heard(numbers.pop(0), headers, data, now) is not None
        assert len(flight) + ends == made
