"""What operators did."""

from __future__ import annotations

from choria_broker.ui.page import Asked
from choria_broker.ui.pages.acts import view
from support.dashboard import status_of
from support.scene import acts
from support.scene_status import status


def test_acts_and_a_drain_that_goes_on() -> None:
    found = view((status(), acts()), Asked(0.0))
    assert [each.act for each in found.acts] == ["drain", "kick", "reload", "upgrade", "revoke"]
    assert found.drain
    assert found.drain.by == "root (uid 0)"
    assert found.upgrade
    assert view((status_of(), ()), Asked(0.0)).drain is None
