"""Subject mappings are checked as nats-server checks them; tests/integration/test_mappings.py asks the engine too."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.subject_mapping import check, covers, doubt

GOOD = [
    ("a", "b"),
    ("a.b", "c"),
    ("a.>", "b.>"),
    (">", "x.>"),
    ("a.*", "b.$1"),
    ("a.*", "b.$+1"),
    ("a.*", "b.$01"),
    ("a.*.*", "b.$2.$1"),
    ("a.*.*", "b.{{wildcard(2)}}.{{wildcard(1)}}"),
    ("a.*", "b.{{ Wildcard( 1 ) }}"),
    ("a.*", "b"),
    ("a.*.>", "b.$1.>"),
    ("choria.registration.*", "choria.registration.{{partition(3,1)}}.{{wildcard(1)}}"),
    ("a.*.*", "b.{{partition(10, 1, 2)}}"),
    ("a.*", "b.{{partition(10)}}"),
    ("a.*", "b.{{partition(2147483647,1)}}"),
    ("a", "b.{{partition(10)}}"),
    ("a", "b.{{partition(10,7)}}"),
    ("a", "b.{{random(5)}}"),
    ("a.*", "b.{{random(5)}}"),
    ("a.*", "b.{{SplitFromLeft(1,3)}}"),
    ("a.*", "b.{{splitfromright(1,3)}}"),
    ("a.*", "b.{{SliceFromLeft(1,3)}}"),
    ("a.*", "b.{{slicefromright(1,3)}}"),
    ("a.*", "b.{{split(1,-)}}"),
    ("a.*", "b.{{split(1, -)}}"),
    ("a.*", "b.{{split(1,)}}"),
    ("a.*", "b.{{left(1,2)}}"),
    ("a.*", "b.{{left(1,-2147483648)}}"),
    ("a.*", "b.{{right(1,2)}}"),
    ("a.*", "b.$x"),
    ("a.*", "b.$99999999999999999999"),
    ("$SYS.x", "$JS.y"),
    ("include", "b"),
    ("1", "true"),
]

DOUBTFUL = [
    ("a", "{{}}", "plain text"),
    ("a.*", "b.{{left(1,1)}}{{right(1,1)}}", "more than one function"),
    ("a.*", "b.x{{wildcard(1)}}", "plain text"),
    ("a.*", "b.{{wildcard(1)}}x", "plain text"),
    ("a.*", "b.{{split(1,.)}}", "plain text"),
    ("a.*", "b.{{wildcard(0)}}", "wildcard 0"),
    ("a.*", "b.$0", "wildcard 0"),
    ("a.*.*", "b.{{partition(3,1,-1)}}", "wildcard -1"),
    ("a.*", "b.{{partition(0,1)}}", "0 for every subject"),
    ("a", "b.{{random(0)}}", "0 for every subject"),
]

BAD = [
    ("a..b", "c", "empty part"),
    ("a.", "c", "empty part"),
    ("a", ".c", "empty part"),
    ("a.>.b", "c", "not at its end"),
    ("a", "b.>.c", "not at its end"),
    ("a.*", "b.*", "wildcard(n)"),
    ("a.>", "b", "only one"),
    ("a", "b.>", "only one"),
    ("a b", "c", "source has a blank"),
    ("a.{{ x }}", "c", "source has a blank"),
    ("a", "b c", "destination has a blank"),
    ("a.*", "b.$2", "wildcard 2"),
    ("a.*", "b.{{wildcard(2)}}", "wildcard 2"),
    ("a.>", "b.$1.>", "wildcard 1"),
    ("a", "b.$1", "needs a wildcard"),
    ("a", "b.{{wildcard(1)}}", "needs a wildcard"),
    ("a", "b.{{split(1,-)}}", "needs a wildcard"),
    ("a.*", "b.{{wildcard()}}", "takes 1 argument"),
    ("a.*", "b.{{wildcard(1,2)}}", "takes 1 argument"),
    ("a.*", "b.{{wildcard(x)}}", "not a whole number"),
    ("a.*", "b.{{wildcard(99999999999999999999)}}", "not a whole number"),
    ("a.*", "b.{{partition()}}", "not a whole number"),
    ("a.*", "b.{{partition(x,1)}}", "not a whole number"),
    ("a.*", "b.{{partition(10,2)}}", "wildcard 2"),
    ("a.*", "b.{{partition(2147483648,1)}}", "too large"),
    ("a.*", "b.{{left(1)}}", "takes 2 arguments"),
    ("a.*", "b.{{left(1,2,3)}}", "takes 2 arguments"),
    ("a.*", "b.{{left(1,x)}}", "not a whole number"),
    ("a.*", "b.{{left(1,2147483648)}}", "too large"),
    ("a.*", "b.{{split(1)}}", "takes 2 arguments"),
    ("a.*", "b.{{split(1,- )}}", "blank in its delimiter"),
    ("a.*", "b.{{random()}}", "takes 1 argument"),
    ("a.*", "b.{{random(1,2)}}", "takes 1 argument"),
    ("a.*", "b.{{nothing(1)}}", "not a function"),
    ("a.*", "b.{{WILDCARD(1)}}", "not a function"),
    ("a.*", "b.{{wildcard}}", "not a function"),
    ("a.*", "b.{{left(1,1)}}{{left(1,2)}}", "takes 2 arguments"),
]


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
    assert "has the character" in check(source, "b")


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
