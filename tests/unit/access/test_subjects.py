"""What is a subject, and what takes in what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.subjects import covers, is_subject, is_subscription


@pytest.mark.parametrize("text", ["a", "a.b", "*", ">", "*.node.>", "a.*.b", "$JS.API.>", "a*", "\u00e9.\u65e5", "a.*"])
def test_subjects(text: str) -> None:
    assert is_subject(text)
    assert is_subscription(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        ".a",
        "a.",
        "a..b",
        "a b",
        " a",
        "a ",
        "a\t",
        "a\nb",
        "a\u00a0b",
        "a\u2028b",
        "a\x00",
        "a\x7f",
        ">.a",
        "a.>.b",
        "a>",
        "a.>b",
        ">>",
    ],
)
def test_not_subjects(text: str) -> None:
    assert not is_subject(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a.b queue", True),
        ("a.> q.*", True),
        ("a  queue", False),
        ("a queue more", False),
        ("a ", False),
        (" queue", False),
        ("a.. queue", False),
        ("a queue\n", False),
        ("a\tqueue", False),
    ],
)
def test_queues(text: str, *, valid: bool) -> None:
    assert is_subscription(text) is valid


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a", False),
        ("a", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        (">", ">", True),
        ("*", ">", False),
        ("a.*", "a.*", True),
        ("a.b", "a.*", False),
        ("a.>", "a.*", True),
        ("a.>", "a.>", True),
        ("a.*.>", "a.>", False),
        ("a.>", ">", False),
        ("*.node.>", "c.node.n.example.net", True),
        ("a*", "ab", False),
    ],
)
def test_covers(pattern: str, subject: str, *, covered: bool) -> None:
    assert covers(pattern, subject) is covered


PARTS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4)


@given(PARTS, st.booleans(), PARTS)
def test_a_pattern_covers_what_it_matches_by_definition(parts: list[str], tail: bool, literal: list[str]) -> None:
    pattern = ".".join([*parts, ">"] if tail else parts)
    subject = ".".join("x" if part == "*" else part for part in literal)
    given_parts = subject.split(".")
    fits = len(given_parts) > len(parts) if tail else len(given_parts) == len(parts)
    expected = fits and all(p in ("*", g) for p, g in zip(parts, given_parts, strict=False))

    assert covers(pattern, subject) is expected
    assert covers(pattern, pattern)
    assert covers(">", pattern)


@pytest.mark.parametrize("text", ["a\x9bb", "a\u202eb", "a\x7fb", "a\u200bb"])
def test_what_does_not_print_is_in_no_subject(text: str) -> None:
    assert not is_subject(text)
