"""The page that tells how the broker is."""

from __future__ import annotations

from choria_broker.stats.history import History
from choria_broker.status.document import HealthReport
from choria_broker.status.reasons import Reason
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.health import Why, document, view
from choria_broker.ui.site import BY_NAME
from support.dashboard import status_of
from support.scene import hour


def test_it_tells_the_sentence_and_all_reasons_with_remedies() -> None:
    told = HealthReport("degraded", "It needs attention.", ("one", "two", "three"), ("link-down", "new-kind"))
    found = view((status_of(health=told), History(10.0).drawn()), Asked(0.0))
    assert (found.condition, found.sentence) == ("degraded", "It needs attention.")
    assert found.reasons == (Why("one", "link-down", Reason.LINK_DOWN.remedy, "links"), Why("two"), Why("three"))


def test_pages_that_reasons_lead_to_are_there() -> None:
    for kind in Reason:
        found = view(
            (status_of(health=HealthReport("failing", "", ("x",), (kind,))), History(10.0).drawn()), Asked(0.0)
        )
        assert found.reasons[0].page in {"", *BY_NAME}
        assert found.reasons[0].remedy


def test_it_counts_who_came_and_who_was_refused() -> None:
    counted = status_of(
        accepted={"mtls": 2, "client-token": 3}, refused={"token-expired": 4}, engine_refused={"gone": 1}
    )
    found = view((counted, History(10.0).drawn()), Asked(0.0))
    assert (found.accepted, found.refused, found.drain) == (5, 5, "")
    assert found.told[0].startswith(counted.identity)


def test_the_last_hour_is_there_once_something_was_read_and_only_for_people() -> None:
    assert view((status_of(), History(10.0).drawn()), Asked(0.0)).graphs == ()
    found = view((status_of(), hour().drawn()), Asked(0.0))
    assert len(found.graphs) == 8
    assert not {"graphs", "told"} & set(document(found))
    assert {"condition", "sentence", "reasons", "since", "changes", "headroom"} <= set(document(found))
