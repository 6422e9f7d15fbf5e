"""Links between the pages lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pages import ROOT, anchors, links, pages


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()])
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_can_be_found_from_the_readme() -> None:
    reached, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.is_dir():
                left += target.glob("*.md")
            elif target.suffix == ".md" and target.exists():
                left.append(target)
    assert {page for page in pages() if page.is_relative_to(ROOT / "docs")} <= reached
