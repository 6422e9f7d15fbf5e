"""Every page of a broker that has much to tell: drawn whole, and nothing of others becomes markup."""

from __future__ import annotations

import html.parser
import json
from typing import Any

import pytest

from choria_broker.ui import render
from choria_broker.ui.page import Asked, Page
from choria_broker.ui.pages import history
from choria_broker.ui.site import PAGES as ALL
from support.dashboard import HOSTILE, NOW
from support.scene import knowledge, quiet

ELSEWHERE = {"connection", "connections", "explain", "find", "refusals"}
"""Pages about connections, of which the scene has none: ``test_render`` draws them."""

PAGES = tuple(each for each in ALL if each.name not in ELSEWHERE)
VOID = {"meta", "link", "input", "br", "img", "wbr"}
named = pytest.mark.parametrize("row", PAGES, ids=[each.name for each in PAGES])


async def drawn(row: Page[Any, Any], evil: str = "", *, part: bool = False, **values: str) -> str:
    known, asked = knowledge(evil), Asked(NOW, {name: (value,) for name, value in values.items()})
    facts = await row.facts(known, asked)
    return render.page(row, row.view(facts, asked), asked, render.shell(known.status(), NOW), part=part)


class Reader(html.parser.HTMLParser):
    """Reads a page as a browser does, and keeps its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    return reader


@named
async def test_texts_of_others_are_text(row: Page[Any, Any]) -> None:
    evil, good = read(await drawn(row, HOSTILE)), read(await drawn(row))
    # Where a line may break depends on the text.
    assert [tag for tag, _ in evil.elements if tag != "wbr"] == [tag for tag, _ in good.elements if tag != "wbr"]
    for _, attributes in evil.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)


@named
async def test_ends_of_lines_and_commands_for_terminals_are_escaped(row: Page[Any, Any]) -> None:
    assert "\x1b" not in await drawn(row, "\n\x1b[2J")


@named
async def test_there_is_one_heading_and_each_table_says_where_else_the_same_is(row: Page[Any, Any]) -> None:
    reader = read(await drawn(row))
    tags = [tag for tag, _ in reader.elements]
    assert tags.count("h1") == 1
    classes = [attributes.get("class") for _, attributes in reader.elements]
    assert tags.count("table") == classes.count("wide")
    # One line of it stands under each table, before anything else begins.
    marks = [each for each in zip(tags, classes, strict=True) if "table" in each or "also" in each or "h2" in each]
    for at, (tag, _) in enumerate(marks):
        assert tag != "table" or marks[at + 1][1] == "also"
    text = await drawn(row)
    assert "choria-broker " in text
    assert f'href="{row.name}.json' in text
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


@named
async def test_programs_are_told_the_same(row: Page[Any, Any]) -> None:
    asked = Asked(NOW)
    view = row.view(await row.facts(knowledge(), asked), asked)
    assert json.loads(render.document(row, view))


@named
async def test_a_part_is_smaller_and_in_the_whole_page(row: Page[Any, Any]) -> None:
    part, whole = await drawn(row, part=True), await drawn(row)
    assert len(part) < len(whole)
    assert part.strip().startswith('<div id="live"')


async def test_a_page_with_graphs_loads_others_files_with_their_hashes() -> None:
    reader = read(await drawn(history.PAGE))
    files = [a for _, a in reader.elements if "vendor/" in (a.get("src") or a.get("href") or "")]
    assert len(files) == 2
    assert all((each["integrity"] or "").startswith("sha384-") for each in files)
    assert all(
        (each.get("src") or each.get("href")) in {f"assets/{name}" for name in render.assets()} for each in files
    )


async def test_a_broker_of_which_little_is_known_has_all_pages_too() -> None:
    for row in PAGES:
        asked, known = Asked(NOW), quiet()
        view = row.view(await row.facts(known, asked), asked)
        read(render.page(row, view, asked, render.shell(known.status(), NOW), part=False))
        render.document(row, view)
