"""Warnings about dropped messages are few, short and fit to be shown."""

from __future__ import annotations

import pytest

from choria_broker.companions.complaints import Complaints, excerpt
from choria_broker.log.structured import component


def test_a_few_a_minute_and_then_a_sum(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    complaints = Complaints(component("adapter"), lambda: now)
    for _ in range(8):
        complaints.say("A message is dropped", b"x" * 500, why="bad")
    now = 60.0
    complaints.say("Another one")
    now = 120.0
    complaints.say("The last one")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["A message is dropped"] * 5 + ["More messages were dropped", "Another one", "The last one"]
    first, total = caplog.records[0].__dict__, caplog.records[5].__dict__
    assert (first["bytes"], len(first["begins"]), first["why"]) == (500, 200, "bad")
    assert (total["messages"], total["seconds"]) == (3, 60)


def test_excerpts_are_printable_and_without_credentials() -> None:
    assert excerpt(b"a\x1b[31m\r\nb\xff").isprintable()
    assert "eyJhbGciOiJFZERTQSJ9" not in excerpt(b"token eyJhbGciOiJFZERTQSJ9.eyJwdXJwb3NlIjoieCJ9.c2lnbmF0dXJl")
