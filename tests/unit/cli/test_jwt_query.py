"""Questions about claims."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.cli.jwt.query import QueryError, answer

CLAIMS: dict[str, object] = {
    "callerid": "up=bob",
    "ou": "choria",
    "agents": ["rpcutil", "package"],
    "exp": 1800,
    "chs": True,
    "one": 1,
    "permissions": {"streams_user": True, "governor": False},
    "extensions": {"site": {"id": 7}},
}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ('callerid == "up=bob"', True),
        ("callerid == 'up=bob'", True),
        ('callerid != "up=bob"', False),
        ("exp > 1799 and exp < 1801", True),
        ("exp >= 1800 && exp <= 1800", True),
        ("exp > 1800", False),
        ("exp == 1800.0", True),
        ("exp > -1", True),
        ('"rpcutil" in agents', True),
        ('"puppet" in agents', False),
        ('"puppet" not in agents', True),
        ('ou in ["a", "choria"]', True),
        ("ou in []", False),
        ('"governor" in permissions', True),
        ("one in permissions", False),
        ("permissions.streams_user", True),
        ("permissions.governor", False),
        ("not permissions.governor", True),
        ("!permissions.governor && !false", True),
        ("not not true", True),
        ("extensions.site.id == 7", True),
        ("nosuch == nil", True),
        ("nosuch == 1", False),
        ("permissions.nosuch == nil", True),
        ("ou in nosuch", False),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("false || true", True),
        ("chs == true", True),
        ("chs == 1", False),
        ("one == true", False),
        ("one == 1", True),
        (r'ou == "cho\ria"', False),
        (r'"a\"b" == ' + r"'a\"b'", True),
        (r'"a\nb" != "anb"', True),
        ("  true  ", True),
        ("nosuch != nil and nosuch.x == 1", False),
        ("nosuch == nil or nosuch.x == 1", True),
        ('not ou == "x"', True),
    ],
)
def test_answers(question: str, *, expected: bool) -> None:
    assert answer(question, CLAIMS) is expected


@pytest.mark.parametrize(
    "question",
    [
        "",
        "ou",
        "exp",
        "permissions.nosuch",
        "ou ==",
        "== ou",
        "ou = 1",
        "ou == 'x",
        "ou == 1 1",
        "true)",
        "(true",
        "[1, 2",
        "ou in [1 2]",
        "ou in ou",
        "ou in 1",
        "ou not 1",
        "ou.x == 1",
        "nosuch.x == 1",
        "ou.1",
        "ou < 1",
        "chs < 2",
        "exp < 'x'",
        "ou and true",
        "not ou",
        "1 < 2 < 3",
        "len(agents) > 1",
        "agents[0] == 'rpcutil'",
        "callerid matches 'up=.*'",
        "ou == 'a' ? true : false",
        "ou ~ 'x'",
        "- == 1",
        "in",
        "true and",
        "(" * 5000 + "true" + ")" * 5000,
        "[" * 5000,
        " and ".join(["true"] * 5000),
    ],
)
def test_everything_else_is_invalid(question: str) -> None:
    with pytest.raises(QueryError):
        answer(question, CLAIMS)


@given(st.text(alphabet="abou =!<>&|()[]'\".,1-not in", max_size=40))
def test_no_question_breaks_it(question: str) -> None:
    with contextlib.suppress(QueryError):
        assert answer(question, CLAIMS) in {True, False}
