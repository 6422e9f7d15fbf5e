"""The settings in force."""

from __future__ import annotations

import pytest

from choria_broker.ui.pages.settings import SettingsView, view
from support.dashboard import asked
from support.scene import settings_now
from support.scene_status import status


def made(**values: str) -> SettingsView:
    return view((status(), settings_now()), asked(**values))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, 5),
        ({"all": "1"}, 6),
        ({"text": "peers"}, 1),
        ({"text": "PEERS"}, 1),
        ({"text": "slow receiver"}, 1),
        ({"text": "broker.conf:7"}, 1),
        ({"text": "<img>"}, 0),
        ({"text": "x" * 5000}, 0),
    ],
)
def test_what_is_shown(values: dict[str, str], shown: int) -> None:
    found = made(**values)
    assert len(found.settings) == shown
    assert (found.set_count, found.known_count) == (5, 6)
    assert len(found.text) <= 100


def test_findings_have_the_worst_first_and_what_waits_for_a_restart_is_there() -> None:
    found = made()
    assert [each.finding.severity for each in found.findings] == ["skip", "warn", "info"]
    assert [(each.old, each.new) for each in found.pending] == [("4222", "4223")]
