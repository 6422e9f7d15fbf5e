"""All pages of the dashboard, in the order of its menu: whatever is in the folder of pages is one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

from choria_broker.ui import pages
from choria_broker.ui.page import Group, Page


def _found() -> Iterator[Page[Any, Any]]:
    for each in pkgutil.iter_modules(pages.__path__):
        yield importlib.import_module(f"{pages.__name__}.{each.name}").PAGE


def _in_menu(page: Page[Any, Any]) -> tuple[int, int]:
    headings = tuple(Group)
    return headings.index(page.group) if page.group else len(headings), page.place


PAGES: tuple[Page[Any, Any], ...] = tuple(sorted(_found(), key=_in_menu))
"""Those that only other pages lead to come last."""

FIRST = PAGES[0]
"""What is shown where no page is named."""

BY_NAME: Mapping[str, Page[Any, Any]] = {each.name: each for each in PAGES}
