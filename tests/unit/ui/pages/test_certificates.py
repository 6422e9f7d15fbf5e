"""Certificates and CAs."""

from __future__ import annotations

from choria_broker.status.document import AuthoritiesReport, AuthorityReport
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.certificates import view
from support.dashboard import NOW, status_of
from support.scene_status import status


def test_the_first_to_end_comes_first_and_is_marked() -> None:
    found = view(status(), Asked(0.0))
    assert [(each.word, each.condition) for each in found.rows] == [
        ("has expired", "failing"),
        ("expires soon", "degraded"),
        ("good", "ok"),
    ]
    assert found.now.ending == 2


def test_what_hangs_on_which_generation_of_the_ca() -> None:
    found = view(status(), Asked(0.0)).generations
    assert [(each.total, each.condition) for each in found] == [(2652, "ok"), (1421, "ok"), (1, "degraded")]


def test_a_ca_that_is_in_no_file_any_more_is_marked_although_it_is_good_for_long() -> None:
    gone = AuthorityReport("CN=Old", "00", NOW + 9e7, 1000.0, (), {"client": 1})
    (found,) = view(status_of(authorities=AuthoritiesReport((gone,))), Asked(0.0)).generations
    assert (found.condition, found.word) == ("degraded", "in no CA file any more")
