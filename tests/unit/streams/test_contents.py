"""What is in a stream, and when it is full."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.streams.contents import Contents, Outlook, SubjectShare, outlook, shares

DAY = 86400.0
STREAM = Contents(
    account="choria", stream="S", messages=1000, bytes=100_000, first=0.0, last=1000.0, last_sequence=5000, subjects=3
)
"""A message of 100 bytes each second."""


def test_subjects_come_by_their_share() -> None:
    told, others = shares({"a": 1, "b": 6, "c": 1, "d": 2}, 10, 2)
    assert told == (SubjectShare("b", 6, 0.6), SubjectShare("d", 2, 0.2))
    assert others == 2
    assert shares({}, 0, 5) == ((), 0)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 1000)), st.integers(1, 20))
def test_no_message_is_left_out(subjects: dict[str, int], most: int) -> None:
    total = sum(subjects.values())
    told, others = shares(subjects, total, most)
    assert sum(each.messages for each in told) + others == total
    assert len(told) <= most
    assert [each.messages for each in told] == sorted((each.messages for each in told), reverse=True)


@pytest.mark.parametrize(
    ("changes", "room", "wanted"),
    [
        ({}, None, Outlook(1.0, 100.0)),
        ({}, 100 * 86400 * 5, Outlook(1.0, 100.0, 5.0)),
        ({"max_bytes": 100_000 + 100 * 86400}, 100 * 86400 * 5, Outlook(1.0, 100.0, 1.0)),
        ({"max_bytes": 50_000}, None, Outlook(1.0, 100.0, 0.0)),
        # What is older than a day goes, so it stays below two days' worth; three days' worth is too much.
        ({"max_age": DAY}, 100 * 86400 * 2, Outlook(1.0, 100.0)),
        ({"max_age": 3 * DAY}, 100 * 86400 * 2, Outlook(1.0, 100.0, 2.0)),
        ({"messages": 0, "bytes": 0, "first": None, "last": None}, 5, Outlook()),
        ({"messages": 1, "bytes": 100, "last": 0.0}, 5, Outlook()),
    ],
)
def test_when_it_is_full(changes: dict[str, object], room: int | None, wanted: Outlook) -> None:
    assert outlook(msgspec.structs.replace(STREAM, **changes), room) == wanted


def test_a_rate_that_was_measured_counts_more() -> None:
    before = msgspec.structs.replace(STREAM, last_sequence=4980)
    assert outlook(STREAM, 200 * 86400, before, 10.0) == Outlook(2.0, 200.0, 1.0)
    assert outlook(STREAM, 0, STREAM, 10.0) == Outlook()
