"""Adapters and the federation broker."""

from __future__ import annotations

import pytest

from choria_broker.companions.reports import CompanionReport, State
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.companions import view
from support.dashboard import status_of
from support.scene_status import status


def test_those_in_trouble_come_first() -> None:
    assert [each.companion.kind for each in view(status(), Asked(0.0)).rows] == ["federation", "adapter"]


@pytest.mark.parametrize(
    ("state", "condition"),
    [(State.RUNNING, "ok"), (State.GIVEN_UP, "failing"), (State.STARTING, "degraded"), ("another", "degraded")],
)
def test_marks(state: str, condition: str) -> None:
    report = CompanionReport(kind="adapter", name="a", state=str(state), sentence="")
    assert view(status_of(companions=(report,)), Asked(0.0)).rows[0].condition == condition
