"""When crowded listeners are spoken of."""

from __future__ import annotations

from choria_broker.engine.crowding import EVERY, Crowding, Notice


def told(crowding: Crowding, now: float, **turned_away: int) -> list[Notice]:
    return list(crowding.notices(turned_away, now))


def test_nothing_is_said_of_listeners_with_places() -> None:
    assert told(Crowding(), 0.0, client=0, leafnode=0) == []


def test_each_listener_is_spoken_of_once_a_minute_with_all_that_happened() -> None:
    crowding = Crowding()
    assert told(crowding, 100.0, client=5, leafnode=0) == [Notice("client", 5)]
    assert told(crowding, 101.0, client=70, leafnode=3) == [Notice("leafnode", 3)]
    assert told(crowding, 100.0 + EVERY - 1, client=90, leafnode=3) == []
    assert told(crowding, 100.0 + EVERY, client=91, leafnode=3) == [Notice("client", 86)]
    assert told(crowding, 100.0 + 9 * EVERY, client=91, leafnode=3) == []


def test_a_clock_that_is_set_back_does_not_silence_it() -> None:
    crowding = Crowding()
    assert told(crowding, 5000.0, client=1)
    assert told(crowding, 100.0, client=2) == [Notice("client", 1)]


def test_a_notice_names_listener_count_and_setting() -> None:
    fields = Notice("leafnode", 7).fields
    assert (fields["listener"], fields["turned_away"]) == ("leafnode", 7)
    assert "max_unauthenticated" in str(fields["remedy"])
