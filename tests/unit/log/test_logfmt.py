from __future__ import annotations

import pytest

from choria_broker.log.logfmt import logfmt


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, ""),
        ({"a": 1, "b": 2.5}, "a=1 b=2.5"),
        ({"a": None, "b": True, "c": False}, "a= b c=false"),
        ({"msg": "Port in use"}, 'msg="Port in use"'),
        ({"path": r"C:\x"}, r"path=C:\x"),
        ({"path": r"C:\my x"}, r'path="C:\\my x"'),
        ({"quote": 'say "x"'}, r'quote="say \"x\""'),
        ({"subject": "a=b"}, 'subject="a=b"'),
        ({"lines": "a\nb"}, r"lines=a\nb"),
        ({"list": ["a", "b"]}, "list=\"['a', 'b']\""),
    ],
)
def test_pairs(fields: dict[str, object], line: str) -> None:
    assert logfmt(fields) == line
