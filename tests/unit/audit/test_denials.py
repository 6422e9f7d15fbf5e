"""Denied subjects and slow consumers in the engine's lines, and how they are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.audit.denials import Budget, Denials, Noted, Slow, Violation, slow, violation

PEER = '192.0.2.1:4711 - cid:7 - "v1:go" - "choria/user:up=bob" - '


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Publish Violation - Subject "a.b"', Violation(publish=True, subject="a.b")),
        ('Subscription Violation - Subject "a.>", SID 1', Violation(publish=False, subject="a.>")),
        ('Subscription Violation - Subject "a", Queue "q", SID 1', Violation(publish=False, subject="a", queue="q")),
        (r'Publish Violation - Subject "a\"b\\"', Violation(publish=True, subject='a"b\\')),
        ("read error", None),
    ],
)
def test_violations(text: str, expected: Violation | None) -> None:
    assert violation(PEER + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'Slow Consumer Detected: MaxPending of 100 Exceeded (pending: 99 bytes; subject: "a.b")',
            Slow("MaxPending of 100 Exceeded", 99, "a.b"),
        ),
        (
            "Slow Consumer State: WriteDeadline of 5s exceeded with 3 chunks of 9 total bytes. (pending: 9 bytes)",
            Slow("WriteDeadline of 5s exceeded with 3 chunks of 9 total bytes", 9, ""),
        ),
        ("Slow Consumer Recovered: Flush took 2.0s with 3 chunks of 9 total bytes.", None),
    ],
)
def test_slow_consumers(text: str, expected: Slow | None) -> None:
    assert slow(PEER + text) == expected


@given(st.text())
def test_any_line_can_be_read(text: str) -> None:
    violation(text)
    slow(text)


def note(denials: Denials, *, who: str = "up=bob", subject: str = "a", needs: str = "x", kind: str = "publish") -> int:
    return denials.note(Noted(kind, who, subject, needs, 7, 0, 1.0)).times


def test_they_are_counted_by_person_and_need() -> None:
    denials = Denials()
    assert [note(denials, subject=f"mcollective.node.n{number}") for number in range(3)] == [1, 2, 3]
    assert note(denials, who="up=alice") == 1
    assert note(denials, needs="", subject="b") == 1
    assert note(denials, kind="slow", subject="c", needs="9 bytes") == 1
    assert note(denials, kind="slow", subject="d", needs="10 bytes") == 2
    assert [each.who for each in denials.latest(2)] == ["up=bob", "up=bob"]
    assert denials.latest(1)[0].times == 2


def test_memory_is_bounded() -> None:
    denials = Denials()
    for number in range(2000):
        note(denials, who=str(number))
    assert len(denials.latest(10_000)) == 1024
    assert note(denials, who="0") == 1


def test_another_program_goes_on_with_what_was_noted() -> None:
    before, after = Denials(), Denials()
    for who in ("a", "b", "a"):
        note(before, who=who)
    after.go_on(before.latest(None))
    assert after.latest(None) == before.latest(None)
    assert note(after, who="a") == 3


def test_a_budget_is_for_a_second() -> None:
    budget = Budget(2)
    assert [budget.take(1.1), budget.take(1.5), budget.take(1.9), budget.take(2.0)] == [True, True, False, True]


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        (Noted("publish", "web1", "a.b", "streams", 7, 1, 1.0), "may not publish to a.b (needs streams)"),
        (Noted("subscribe", "web1", "a.b", "", 7, 1, 1.0), "may not subscribe to a.b"),
        (Noted("slow", "web1", "a.b", "9 bytes", 7, 1, 1.0), "slow consumer, 9 bytes, most of them for a.b"),
        (Noted("slow", "web1", "", "9 bytes", 7, 1, 1.0), "slow consumer, 9 bytes"),
    ],
)
def test_it_is_told_in_words(noted: Noted, words: str) -> None:
    assert noted.words == words
