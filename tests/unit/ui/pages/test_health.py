"""The page that tells how the broker is."""

from __future__ import annotations

from choria_broker.stats.history import History
from choria_broker.status.document import HealthReport
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.health import document, view
from support.dashboard import status_of
from support.scene import hour


def test_it_tells_the_sentence_and_all_reasons() -> None:
    status = status_of(health=HealthReport("degraded", "It needs attention.", ("one", "two")))
    found = view((status, History(10.0).drawn()), Asked(0.0))
    assert (found.condition, found.sentence, found.reasons) == ("degraded", "It needs attention.", ("one", "two"))


def test_the_last_hour_is_there_once_something_was_read_and_only_for_people() -> None:
    assert view((status_of(), History(10.0).drawn()), Asked(0.0)).graphs == ()
    found = view((status_of(), hour().drawn()), Asked(0.0))
    assert len(found.graphs) == 8
    assert set(document(found)) == {"condition", "sentence", "reasons", "since", "changes"}
