"""The pages of the documentation, taken apart: fenced blocks, tables, links, headings."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(?P<info>.*)$")
_HEADING = re.compile(r"^#+ (?P<text>.*)$")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        page: the file it is in.
        line: its first line in the page, counted from 1.
        language: first word of its fence.
        marks: the other words of its fence.
        text: what is inside.
    """

    page: Path
    line: int
    language: str
    marks: tuple[str, ...]
    text: str

    @property
    def name(self) -> str:
        """Where it is, for the name of a test."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def marked(self, name: str) -> tuple[str, ...]:
        """Values of the marks ``name=value``."""
        return tuple(mark.removeprefix(f"{name}=") for mark in self.marks if mark.startswith(f"{name}="))


def pages() -> tuple[Path, ...]:
    """Every page of the repository, those at its top included."""
    return (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))


def blocks(page: Path | None = None) -> tuple[Block, ...]:
    """All fenced blocks of one page, or of every page, in their order."""
    return tuple(block for each in ([page] if page else pages()) for block in _blocks(each))


def _blocks(page: Path) -> Iterator[Block]:
    info, begin, inside = None, 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if info is not None and fence and not fence["info"]:
            language, *marks = info.split() or [""]
            yield Block(page, begin, language, tuple(marks), "".join(f"{text}\n" for text in inside))
            info = None
        elif info is not None:
            inside.append(line)
        elif fence:
            info, begin, inside = fence["info"], number + 1, []


def prose(page: Path) -> tuple[str, ...]:
    """The lines of a page that are in no fenced block."""
    found, fenced = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            found.append(line)
    return tuple(found)


def rows(page: Path, heading: str = "") -> tuple[tuple[str, ...], ...]:
    """Cells of the tables below a heading, its sub-headings included, or of the whole page; headers are left out."""
    found: list[tuple[str, ...]] = []
    lines, depth = prose(page), 0
    for place, line in enumerate(lines):
        level = len(line) - len(line.lstrip("#"))
        if _HEADING.match(line):
            if heading and line.lstrip("# ") == heading:
                depth = level
            elif depth and level <= depth:
                depth = 0
        header = place + 1 < len(lines) and lines[place + 1].startswith("|--")
        if line.startswith("| ") and not header and (depth or not heading):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            found.append(tuple(cell.strip() for cell in cells))
    return tuple(found)


def names(cell: str) -> tuple[str, ...]:
    """What a cell has between back-quotes."""
    return tuple(code.strip("`") for code in _CODE.findall(cell))


def links(page: Path) -> tuple[str, ...]:
    """Targets of the links of a page."""
    return tuple(match["target"] for line in prose(page) for match in _LINK.finditer(_CODE.sub("", line)))


def anchors(page: Path) -> frozenset[str]:
    """The names that links into a page may use: its headings, written as code hosts write them."""
    found = set()
    for line in prose(page):
        heading = _HEADING.match(line)
        if heading:
            words = re.sub(r"[^\w\- ]", "", heading["text"].lower())
            found.add(words.replace(" ", "-"))
    return frozenset(found)
