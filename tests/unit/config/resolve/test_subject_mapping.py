"""Subject mappings are checked as nats-server checks them; tests/integration/test_mappings.py asks the engine too."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.resolve.subject_mapping import Sources, check, doubt
from support.mapping_cases import BAD, DOUBTFUL, GOOD


def covers(general: str, special: str) -> bool:
    sources = Sources()
    sources.add(general, "general")
    return sources.covering(special) is not None


@pytest.mark.parametrize(("source", "destination"), GOOD)
def test_good(source: str, destination: str) -> None:
    assert check(source, destination) == ""
    assert doubt(destination) == ""


@pytest.mark.parametrize(("source", "destination", "remark"), DOUBTFUL)
def test_taken_and_hardly_meant(source: str, destination: str, remark: str) -> None:
    assert check(source, destination) == ""
    assert remark in doubt(destination)


@pytest.mark.parametrize(
    ("source", "destination", "problem"),
    [("", "b", "source is empty"), ("a", "", "destination is empty"), *BAD],
)
def test_bad(source: str, destination: str, problem: str) -> None:
    assert problem in check(source, destination)


@given(st.text(alphabet="a.*>{}$1(),wildcrpton ", max_size=30), st.text(alphabet="a.*>{}$1(),wildcrpton ", max_size=30))
def test_every_pair_gets_an_answer(source: str, destination: str) -> None:
    problem = check(source, destination)
    assert isinstance(problem, str)
    if not problem:
        assert isinstance(doubt(destination), str)


@pytest.mark.parametrize(
    "source", ['x":y}}};http:15000;accounts:{system:{};choria:{mappings:{q', "a\\b", "a\x1b", "a\u202eb"]
)
def test_a_source_cannot_break_out_of_the_engines_file(source: str) -> None:
    assert "contains the character" in check(source, "b")


@pytest.mark.parametrize(
    ("one", "other", "covered"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.b", "a.*", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a.*.>", True),
        ("a.*.>", "a.>", False),
        (">", "a", True),
        ("*", ">", False),
        ("a.*", "*.b", False),
        ("a.>", "a", False),
        ("a.>", "b.>", False),
        ("a.b", "a.b.c", False),
        ("a.*", "b.*", False),
    ],
)
def test_sources_compared(one: str, other: str, *, covered: bool) -> None:
    assert covers(one, other) is covered


SOURCES = st.lists(st.sampled_from("ab*"), min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([".".join(parts), ".".join([*parts, ">"])])
)
SUBJECTS = [parts for length in range(1, 6) for parts in itertools.product("abc", repeat=length)]
"""Subjects enough to tell all those sources apart."""


def matched(source: str) -> set[tuple[str, ...]]:
    """List the subjects that a source takes, by the definition of wildcards."""
    *parts, last = source.split(".")
    fixed = parts if last == ">" else [*parts, last]
    return {
        subject
        for subject in SUBJECTS
        if (len(subject) > len(fixed) if last == ">" else len(subject) == len(fixed))
        and all(part in {"*", word} for part, word in zip(fixed, subject, strict=False))
    }


@given(SOURCES, SOURCES)
def test_sources_compared_by_their_subjects(one: str, other: str) -> None:
    assert covers(one, other) is (matched(other) <= matched(one))


@given(st.lists(SOURCES, max_size=8), SOURCES)
def test_the_first_source_that_covers_is_named(earlier: list[str], source: str) -> None:
    sources = Sources()
    for place, each in enumerate(earlier):
        sources.add(each, str(place))
    first = next(((str(place), each) for place, each in enumerate(earlier) if covers(each, source)), None)
    assert sources.covering(source) == first
