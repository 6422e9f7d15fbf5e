"""What operators did."""

from __future__ import annotations

import logging

import pytest

from choria_broker.audit.acts import MOST, ActBook
from choria_broker.host.succession import Succession


def test_an_act_is_a_line_of_the_log_and_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    book = ActBook(lambda: 7.0)
    with caplog.at_level(logging.INFO):
        book.record("kick", "root (uid 0)", "ended 2 of 2 sessions", selection={"caller": "up=bob"})
    assert [(line.getMessage(), line.__dict__["act"]) for line in caplog.records] == [("An operator acted", "kick")]
    (kept,) = book.latest
    assert (kept.time, kept.act, kept.by, kept.outcome) == (7.0, "kick", "root (uid 0)", "ended 2 of 2 sessions")
    assert kept.facts == {"selection": "{'caller': 'up=bob'}"}


def test_the_latest_come_first_and_only_so_many_are_kept() -> None:
    book = ActBook()
    for number in range(MOST + 5):
        book.record("reload", "signal SIGHUP", str(number))
    assert len(book.latest) == MOST
    assert book.latest[0].outcome == str(MOST + 4)


def test_what_is_kept_is_on_one_line_without_credentials_and_not_endless() -> None:
    book = ActBook()
    book.record("reload", "a\nb", f"tls://bob:{'x' * 9}@host:1 " + "y" * 5000, why="nats://user:hunter22@host")
    (kept,) = book.latest
    assert "\n" not in kept.by
    assert "hunter22" not in kept.facts["why"]
    assert "bob:" not in kept.outcome
    assert len(kept.outcome) < 1100


def test_the_next_program_goes_on_with_them() -> None:
    before, after = ActBook(lambda: 1.0), ActBook(lambda: 2.0)
    for outcome in ("first", "second"):
        before.record("reload", "signal SIGHUP", outcome)
    succession = Succession()
    before.remember(succession)
    after.record("upgrade", "root", "done")
    after.recall(Succession.unpacked(succession.packed()))
    assert [each.outcome for each in after.latest] == ["done", "second", "first"]
