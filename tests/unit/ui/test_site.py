"""The pages of the dashboard, all together."""

from __future__ import annotations

import itertools
from importlib import resources

from choria_broker.ui.page import Group
from choria_broker.ui.site import BY_NAME, FIRST, PAGES


def _names(folder: str, ending: str) -> set[str]:
    found = {file.name for file in resources.files("choria_broker.ui").joinpath(folder).iterdir()}
    return {name.removesuffix(ending) for name in found if name.endswith(ending)}


def test_each_page_has_a_name_of_its_own_and_a_template() -> None:
    assert len(BY_NAME) == len(PAGES)
    assert set(BY_NAME) <= _names("templates", ".html")
    assert FIRST in PAGES
    assert "assets" not in BY_NAME


def test_whatever_is_in_the_folder_of_pages_is_a_page_of_that_name() -> None:
    assert set(BY_NAME) == _names("pages", ".py") - {"__init__"}


def test_pages_of_a_group_stand_together_in_the_menu() -> None:
    groups = [name for name, _ in itertools.groupby(each.group for each in PAGES if each.group)]
    assert groups == list(Group)


def test_each_page_of_the_menu_has_a_place_of_its_own() -> None:
    places = [(each.group, each.place) for each in PAGES if each.group]
    assert len(places) == len(set(places))
    assert all(each.place > 0 for each in PAGES if each.group)


def test_the_first_page_is_about_health() -> None:
    assert FIRST.name == "health"
