"""Certificates and CAs."""

from __future__ import annotations

from choria_broker.ui.page import Asked
from choria_broker.ui.pages.certificates import view
from support.scene import status


def test_the_first_to_end_comes_first_and_is_marked() -> None:
    found = view(status(), Asked(0.0))
    assert [(each.word, each.condition) for each in found.rows] == [
        ("has ended", "failing"),
        ("ends soon", "degraded"),
        ("good", "ok"),
    ]
    assert found.now.ending == 2


def test_what_hangs_on_which_generation_of_the_ca() -> None:
    found = view(status(), Asked(0.0)).generations
    assert [(each.total, each.condition) for each in found] == [(2652, "ok"), (1421, "ok"), (1, "degraded")]
