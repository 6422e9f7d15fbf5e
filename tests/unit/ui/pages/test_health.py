"""The page that tells how the broker is."""

from __future__ import annotations

from choria_broker.status.document import HealthReport
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.health import view
from support.dashboard import status_of


def test_it_tells_the_sentence_and_all_reasons() -> None:
    found = view(status_of(health=HealthReport("degraded", "It needs attention.", ("one", "two"))), Asked(0.0))
    assert (found.condition, found.sentence, found.reasons) == ("degraded", "It needs attention.", ("one", "two"))
