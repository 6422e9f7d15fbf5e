from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from choria_broker.access.selection import Selection
from choria_broker.access.session import Traffic
from choria_broker.cli import connections as command
from choria_broker.sessions.documents import Page
from support.sessions import session

MANY = 25


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Selection, int]]:
    """Answer in pages of ten, with more traffic each time, and keep what was asked."""
    asked: list[tuple[Selection, int]] = []

    def page(_config: Path, selection: Selection, after: int = 0) -> Page:
        asked.append((selection, after))
        found = [number for number in range(1, MANY + 1) if number > after]
        sessions = tuple(
            session(
                number,
                address="",
                username=f"user{number}",
                tls="none",
                since=0.0,
                traffic=Traffic(0.0, MANY - number, 10 * len(asked), 0, 0, 0),
            )
            for number in found[:10]
        )
        return Page(100.0 + len(asked), sessions, more=len(found) > 10)

    monkeypatch.setattr(command, "ask_connections", page)
    return asked


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command.connections, ["--config", "x", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_all_pages_are_read_and_the_rest_is_said(broker: list[tuple[Selection, int]]) -> None:
    text = run("--limit", "3", "--account", "choria", "--cid", "3", "--cid", "4")
    assert "3 of 25 connections shown" in text
    assert [after for _, after in broker] == [0, 10, 20]
    assert {selection for selection, _ in broker} == {Selection(account="choria", connections=(3, 4))}


def test_no_limit_shows_all(broker: list[tuple[Selection, int]]) -> None:
    told = json.loads(run("--limit", "0", "--json", "--sort", "pending"))
    assert [each["connection"] for each in told["connections"]] == list(range(1, MANY + 1))
    assert told["time"] == 101.0
    assert broker


def test_rates_are_measured_between_two_looks(
    broker: list[tuple[Selection, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("choria_broker.cli.connections.time.sleep", waited.append)
    told = json.loads(run("--over", "3", "--json", "--limit", "1"))
    assert waited == [3.0]
    assert len(broker) == 6
    # The second look at it found 40 messages in place of 10, three seconds later.
    assert told["connections"][0]["rates"]["in_msgs"] == 10.0
