"""Streams, wished beside found."""

from __future__ import annotations

import pytest

from choria_broker.settings.streams import STANDARD_STREAMS
from choria_broker.stats.history import History
from choria_broker.stats.standings import Standing, Standings
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.streams import MOST, Facts, StreamsView, view
from support.dashboard import status_of
from support.scene import hour, standings
from support.scene_status import status


def made(**changes: object) -> StreamsView:
    told = {"status": status(), "drawn": hour().drawn(), "standings": standings(), "standard": STANDARD_STREAMS}
    return view(Facts(**{**told, **changes}), Asked(0.0))  # type: ignore[arg-type] # fields by name


def test_what_was_wished_stands_beside_what_is_there() -> None:
    events, machine, advisories, executor, elections = made().rows
    assert events.wish == "keeps lifecycle events for 1 day, 3 copies"
    assert (events.set_up.condition, events.set_up.word) == ("ok", "unchanged")
    assert (events.found.condition, events.found.word) == ("degraded", "writable, a copy is late")
    assert (machine.found.condition, machine.found.word) == ("failing", "cannot be written")
    assert machine.found.more.startswith("no member leads")
    assert (advisories.set_up.condition, advisories.held) == ("degraded", None)
    assert advisories.reason == "insufficient storage resources available"
    assert (executor.wish, executor.set_up.condition) == ("left alone", "")
    assert elections.wish == "keeps the election bucket for 1 minute, one copy"


def test_when_the_store_is_full_at_the_rate_of_the_last_hour() -> None:
    found = made()
    assert found.growth
    assert found.growth.seconds == pytest.approx(3590, abs=20)
    assert found.growth.days_until_full == pytest.approx(1.0, abs=0.1)
    assert made(drawn=History(10.0).drawn()).growth is None


def test_streams_of_others_are_listed_those_in_trouble_first_and_not_without_end() -> None:
    assert [(each.stream, each.writable) for each in made().others] == [("LEDGER", False), ("ORDERS", True)]
    many = Standings(None, tuple(Standing("choria", f"S{number}") for number in range(MOST + 7)))
    found = made(standings=many)
    assert (len(found.others), found.left_out) == (MOST, 7)


def test_a_broker_without_streams() -> None:
    found = made(status=status_of(), standings=None)
    assert (found.on, found.rows, found.others) == (False, (), ())
