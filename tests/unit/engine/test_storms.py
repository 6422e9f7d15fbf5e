"""When storms of clients are spoken of."""

from __future__ import annotations

from choria_broker.engine.events import Queue
from choria_broker.engine.storms import EVERY, Notice, Storms


def told(storms: Storms, queue: Queue, now: float) -> list[Notice]:
    return list(storms.notices(queue, now))


def test_nothing_is_said_while_all_that_wait_are_served() -> None:
    storms = Storms()
    assert told(storms, Queue(), 0.0) == []
    assert told(storms, Queue(waiting=500, at_once=32, waited=900), 1.0) == []


def test_who_has_to_come_again_is_told_once_a_minute() -> None:
    storms = Storms()
    first = Queue(waiting=9, at_once=32, left=1, dropped=2)
    assert told(storms, first, 100.0) == [Notice(3, first)]
    assert told(storms, Queue(dropped=50), 100.0 + EVERY - 1) == []
    last = Queue(left=1, dropped=60)
    assert told(storms, last, 100.0 + EVERY) == [Notice(58, last)]
    assert told(storms, last, 100.0 + 9 * EVERY) == []


def test_a_clock_that_goes_back_silences_nobody() -> None:
    storms = Storms()
    assert told(storms, Queue(left=1), 5000.0)
    assert told(storms, Queue(left=2), 100.0)


def test_the_line_says_how_it_stands_and_what_to_do() -> None:
    notice = Notice(3, Queue(waiting=9, at_once=32, left=1, dropped=2))
    assert "reconnect" in notice.text
    fields = notice.fields
    assert (fields["waiting"], fields["at_once"], fields["come_again"]) == (9, 32, 3)
    assert "EC key" in str(fields["remedy"])
