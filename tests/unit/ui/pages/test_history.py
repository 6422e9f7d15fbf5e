"""The last hour."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.stats.history import STEPS
from choria_broker.ui.page import BadInputError
from choria_broker.ui.pages.history import document, view
from support.dashboard import NOW, asked
from support.scene import hour

DRAWN = hour().drawn()


def told(**values: str) -> Any:
    return document(view(DRAWN, asked(**values)))


def test_programs_get_every_point() -> None:
    found = told()
    assert found["step"] == 10.0
    assert len(found["times"]) == STEPS
    assert all(len(each["values"]) == STEPS for each in found["series"])
    assert {"name": "connections", "title": "Connections", "unit": ""}.items() <= found["series"][0].items()


def test_an_open_page_gets_only_what_is_new() -> None:
    assert len(told(after=str(NOW - 30))["times"]) == 3
    assert told(after=str(NOW + 30))["times"] == ()


@pytest.mark.parametrize("after", ["x", "-1", "1e9", "nan", "9" * 40, "1.2.3", "<img>", "\u0661"])
def test_what_is_no_time_is_refused_in_a_sentence(after: str) -> None:
    with pytest.raises(BadInputError, match="Unix seconds"):
        told(after=after)
