"""Telling of denied subjects and slow consumers."""

from __future__ import annotations

import collections
import logging
from typing import Any

import pytest

from choria_broker.audit.denied import Denied
from choria_broker.audit.engine_lines import read
from choria_broker.audit.throttle import RefusalThrottle

PEER = '192.0.2.1:4711 - cid:7 - "v1:go" - '
DENIED = 'Publish Violation - Subject "mcollective.node.web1"'
SLOW = 'Slow Consumer Detected: MaxPending of 100 Exceeded (pending: 99 bytes; subject: "a.b")'


class Told:
    """What was told."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.denied = Denied(RefusalThrottle(), self.counts, lambda: 1000.0)
        self._caplog = caplog
        caplog.set_level(logging.INFO)

    def of(self, text: str) -> bool:
        return self.denied.told_of(read(text, asked=True), text, None)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [each.__dict__ for each in self._caplog.records]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_a_connection_that_was_let_in_is_known_by_its_name(told: Told) -> None:
    told.denied.admitted(7, "up=bob", "client-token")
    assert told.of(PEER + DENIED)
    assert told.of(PEER + DENIED)
    first, second = told.lines
    assert (first["identity"], first["needs"], first["times"]) == ("up=bob", "fleet_management", 1)
    assert second["times"] == 2
    assert told.counts == {"publish": 2}


def test_one_that_is_not_known_is_named_by_the_line_or_by_its_address(told: Told) -> None:
    told.of(f'{PEER}"choria/user:up=alice" - {DENIED}')
    told.of(PEER + DENIED)
    assert [each["identity"] for each in told.lines] == ["up=alice", "192.0.2.1"]
    assert "needs" not in told.lines[0]


def test_a_queue_is_told(told: Told) -> None:
    told.of(f'{PEER}Subscription Violation - Subject "a", Queue "q", SID 1')
    assert told.lines[0]["queue"] == "q"


def test_slow_consumers_are_warnings(told: Told) -> None:
    assert told.of(PEER + SLOW)
    (line,) = told.lines
    assert (line["levelno"], line["subject"], line["pending_bytes"]) == (logging.WARNING, "a.b", 99)
    assert not told.counts


def test_lines_are_bounded_and_counts_are_not(told: Told) -> None:
    for _ in range(20):
        told.of(PEER + DENIED)
    assert len(told.lines) == 5
    assert told.denied.latest(1)[0].times == 20


@pytest.mark.parametrize("text", ["Server is ready", f"{PEER}read error", f"Cannot: {DENIED}"])
def test_other_lines_are_left_to_others(told: Told, text: str) -> None:
    assert not told.of(text)
    assert not told.lines


def test_names_are_bounded(told: Told) -> None:
    for number in range(20_000):
        told.denied.admitted(number, "x", "mtls")
    told.of(PEER + DENIED)
    assert told.lines[0]["identity"] == "192.0.2.1"


def test_another_program_goes_on(told: Told) -> None:
    told.of(PEER + DENIED)
    counts = collections.Counter({"publish": 1})
    other = Denied(RefusalThrottle(), collections.Counter(), lambda: 1000.0)
    other.recall(told.denied.remember(), counts)
    other.told_of(read(PEER + DENIED, asked=True), PEER + DENIED, None)
    assert other.latest(1)[0].times == 2
    assert counts["publish"] == 2
