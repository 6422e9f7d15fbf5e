"""What commands that ask a running broker print, and how they end."""

from __future__ import annotations

import json

import msgspec
import pytest

from choria_broker.cli.answers import asking, show
from choria_broker.control.client import NotRunningError


class Counted(msgspec.Struct):
    name: str
    count: int


def test_without_an_answer_the_reason_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, asking():
        raise NotRunningError("no broker runs\x1b[31m")
    assert end.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("no broker runs")
    assert "\x1b" not in printed.err


def test_an_answer_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show(Counted("a", 1), ("one\x07", "two"), as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("one")
    assert "\x07" not in first
    assert second == "two"


def test_an_answer_as_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    show({"all": (Counted("a", 1),)}, iter(()), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"all": [{"name": "a", "count": 1}]}
