"""When it is said that handshakes fail for want of a signature."""

from __future__ import annotations

from choria_broker.engine.events import Signings
from choria_broker.engine.outside.notices import EVERY, Notice, Unsigned


def test_nothing_is_said_of_signatures_that_were_made() -> None:
    assert Unsigned().notice(Signings(signed=9, again=2), 0.0) is None


def test_failures_are_told_at_once_and_then_once_a_minute_with_all_in_between() -> None:
    unsigned = Unsigned()
    assert unsigned.notice(Signings(late=1), 100.0) == Notice(1, 1, 0, 0)
    assert unsigned.notice(Signings(late=3, overflow=2), 100.0 + EVERY / 2) is None
    assert unsigned.notice(Signings(late=3, overflow=2, refused=4), 100.0 + EVERY) == Notice(8, 2, 2, 4)
    assert unsigned.notice(Signings(late=3, overflow=2, refused=4), 100.0 + 9 * EVERY) is None


def test_a_clock_that_goes_back_keeps_nothing_quiet() -> None:
    unsigned = Unsigned()
    assert unsigned.notice(Signings(late=1), 100.0)
    assert unsigned.notice(Signings(late=2), 50.0)


def test_a_notice_has_numbers_and_a_remedy() -> None:
    fields = Notice(8, 2, 2, 4).fields
    assert (fields["failed"], fields["refused"]) == (8, 4)
    assert "ECDSA" in str(fields["remedy"])
