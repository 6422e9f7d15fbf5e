"""Long work tells on a terminal how far it is."""

from __future__ import annotations

import io

import pytest

from choria_broker.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    with progress("Asking") as line:
        line.say("Waiting\x1b[31m")
    text = shown.getvalue()
    assert text.startswith("\r\x1b[KAsking ... 0 s\r\x1b[KWaiting\\x1b[31m ... 0 s")
    assert text.endswith("\r\x1b[K")
    assert "\n" not in text


def test_nobody_else_sees_anything(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Asking") as line:
        line.say("Waiting")
    assert capsys.readouterr() == ("", "")


def test_an_error_takes_the_line_away_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    with pytest.raises(ValueError, match="x"), progress("Asking"):
        raise ValueError("x")
    assert shown.getvalue().endswith("\r\x1b[K")
