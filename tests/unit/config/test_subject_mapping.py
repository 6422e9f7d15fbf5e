"""Subject mappings are checked as nats-server checks them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.subject_mapping import check

GOOD = [
    ("a", "b"),
    ("a.b", "c"),
    ("a.>", "b.>"),
    (">", "x.>"),
    ("a.*", "b.$1"),
    ("a.*.*", "b.$2.$1"),
    ("a.*.*", "b.{{wildcard(2)}}.{{wildcard(1)}}"),
    ("a.*", "b.{{ Wildcard( 1 ) }}"),
    ("a.*", "b"),
    ("a.*.>", "b.$1.>"),
    ("choria.registration.*", "choria.registration.{{partition(3,1)}}.{{wildcard(1)}}"),
    ("a.*.*", "b.{{partition(10, 1, 2)}}"),
    ("a.*", "b.{{partition(10)}}"),
    ("a", "b.{{partition(10)}}"),
    ("a", "b.{{random(5)}}"),
    ("a.*", "b.{{random(5)}}"),
    ("a.*", "b.{{SplitFromLeft(1,3)}}"),
    ("a.*", "b.{{splitfromright(1,3)}}"),
    ("a.*", "b.{{SliceFromLeft(1,3)}}"),
    ("a.*", "b.{{slicefromright(1,3)}}"),
    ("a.*", "b.{{split(1,-)}}"),
    ("a.*", "b.{{left(1,2)}}"),
    ("a.*", "b.{{right(1,2)}}"),
    ("a.*", "b.$x"),
    ("$SYS.x", "$JS.y"),
    ("a", "{{}}"),
]

BAD = [
    ("", "b", "source is empty"),
    ("a", "", "destination is empty"),
    ("a..b", "c", "empty part"),
    ("a.", "c", "empty part"),
    ("a", ".c", "empty part"),
    ("a.>.b", "c", "not at its end"),
    ("a.*", "b.*", "wildcard(n)"),
    ("a.>", "b", "only one"),
    ("a", "b.>", "only one"),
    ("a b", "c", "blank"),
    ("a", "b c", "blank"),
    ("a.*", "b.$2", "wildcard 2"),
    ("a.*", "b.{{wildcard(2)}}", "wildcard 2"),
    ("a.*", "b.{{wildcard(0)}}", "wildcard 0"),
    ("a", "b.$1", "needs a wildcard"),
    ("a", "b.{{wildcard(1)}}", "needs a wildcard"),
    ("a", "b.{{split(1,-)}}", "needs a wildcard"),
    ("a.*", "b.{{wildcard()}}", "takes 1 argument"),
    ("a.*", "b.{{wildcard(1,2)}}", "takes 1 argument"),
    ("a.*", "b.{{wildcard(x)}}", "not a whole number"),
    ("a.*", "b.{{partition()}}", "not a whole number"),
    ("a.*", "b.{{partition(x,1)}}", "not a whole number"),
    ("a.*", "b.{{partition(10,2)}}", "wildcard 2"),
    ("a.*", "b.{{partition(0,1)}}", "above 0"),
    ("a.*", "b.{{left(1)}}", "takes 2 arguments"),
    ("a.*", "b.{{left(1,x)}}", "not a whole number"),
    ("a.*", "b.{{left(1,99999999999)}}", "not a whole number"),
    ("a.*", "b.{{split(1,)}}", "delimiter"),
    ("a.*", "b.{{random()}}", "takes 1 argument"),
    ("a.*", "b.{{nothing(1)}}", "not a function"),
    ("a.*", "b.{{WILDCARD(1)}}", "not a function"),
    ("a.*", "b.{{wildcard}}", "not a function"),
    ("a.*", "b.x{{wildcard(1)}}", "half a function"),
    ("a.*", "b.{{split(1,.)}}", "half a function"),
]


@pytest.mark.parametrize(("source", "destination"), GOOD)
def test_good(source: str, destination: str) -> None:
    assert check(source, destination) == ""


@pytest.mark.parametrize(("source", "destination", "problem"), BAD)
def test_bad(source: str, destination: str, problem: str) -> None:
    assert problem in check(source, destination)


@given(st.text(alphabet="a.*>{}$1(),wildcrpton ", max_size=30), st.text(alphabet="a.*>{}$1(),wildcrpton ", max_size=30))
def test_every_pair_gets_an_answer(source: str, destination: str) -> None:
    assert isinstance(check(source, destination), str)


@pytest.mark.parametrize(
    "source", ['x":y}}};http:15000;accounts:{system:{};choria:{mappings:{q', "a\\b", "a\x1b", "a\u202eb"]
)
def test_a_source_cannot_break_out_of_the_engines_file(source: str) -> None:
    assert "has the character" in check(source, "b")
