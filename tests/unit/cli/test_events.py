"""Events as a command shows them: page after page, with what was lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from choria_broker.audit.events import Event, EventKind, EventPage, Wanted
from choria_broker.cli import events as command

EVENT = Event(number=8, time=60.0, kind=EventKind.ACT, what="reload", identity="root")
PAGES = (
    EventPage(time=61.0, broker="b1", events=(EVENT,), after={"act": 8}, lost={"act": 7}, more=True),
    EventPage(time=62.0, broker="b1", events=(), after={"act": 9}),
)


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[Result, list[Wanted]]:
    asked: list[Wanted] = []

    def page(_config: Path, wanted: Wanted) -> EventPage:
        asked.append(wanted)
        return PAGES[len(asked) - 1]

    monkeypatch.setattr(command, "ask_events", page)
    monkeypatch.setattr("choria_broker.cli.events.time.time", lambda: 1000.0)
    return CliRunner().invoke(command.events, ["--config", "x", "--no-follow", *options]), asked


def test_what_was_lost_is_told_before_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = run(monkeypatch)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "1970-01-01 00:01:01 UTC loss 7 events of kind act were forgotten before they could be shown",
        "1970-01-01 00:01:00 UTC act reload root",
    ]
    assert [each.after for each in asked] == [{}, {"act": 8}]
    assert asked[0].since == 0.0


def test_lines_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = run(monkeypatch, "--json", "--since", "60s", "--kind", "act", "--identity", "ro*")
    assert [json.loads(line) for line in result.output.splitlines()] == [
        {"time": 61.0, "broker": "b1", "kind": "loss", "of": "act", "lost": 7},
        {"broker": "b1", "number": 8, "time": 60.0, "kind": "act", "what": "reload", "identity": "root"},
    ]
    assert (asked[0].since, asked[0].kinds, asked[0].identity) == (940.0, (EventKind.ACT,), "ro*")
