"""The pages of the dashboard, all together."""

from __future__ import annotations

import itertools
from importlib import resources

from choria_broker.ui.site import BY_NAME, FIRST, PAGES


def test_each_page_has_a_name_of_its_own_and_a_template() -> None:
    templates = {file.name for file in resources.files("choria_broker.ui").joinpath("templates").iterdir()}
    assert len(BY_NAME) == len(PAGES)
    assert {f"{name}.html" for name in BY_NAME} <= templates
    assert FIRST in PAGES
    assert "assets" not in BY_NAME


def test_pages_of_a_group_stand_together_in_the_menu() -> None:
    groups = [name for name, _ in itertools.groupby(each.group for each in PAGES if each.group)]
    assert len(groups) == len(set(groups))
