"""The page that tells where somebody is."""

from __future__ import annotations

from choria_broker.sessions.documents import Found, Sightings
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.find import view
from support.dashboard import NOW, asked, departed, session


def test_nothing_is_found_before_anything_is_looked_for() -> None:
    found = view((None, "b1"), Asked(NOW))
    assert (found.text, found.found, found.seen) == ("", None, 0)


def test_all_that_was_seen_is_counted() -> None:
    brokers = (Sightings("b1", NOW, (session(1),), (departed(2),)), Sightings("b2", NOW, (session(3),)))
    found = view((Found("web", whole=True, limit="", brokers=brokers), "b1"), asked(text=" web "))
    assert (found.text, found.own, found.seen) == ("web", "b1", 3)
