"""Where brokers stand on the map of links: this one in the middle, those of its cluster around, others at the sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from choria_broker.stats.links import Link, LinkKind
from choria_broker.wording import plain

BOX_WIDTH, BOX_HEIGHT = 220, 46
_GAP, _MARGIN = 14, 16
_COLUMNS = (_MARGIN, 390, 764)
"""Left edges of gateways, of the cluster, and of leafnodes."""

WIDTH = _COLUMNS[2] + BOX_WIDTH + _MARGIN
_HEAD = 34
_MOST = 24
"""Brokers of one kind that are drawn."""

_LONGEST = 23


class Box(msgspec.Struct, frozen=True):
    """A broker on the map.

    Attributes:
        x, y: its upper left corner.
        name: as it is written, cut where it is long.
        whole: the whole name.
        words: how the link is, in a few words.
        state: ``here`` for this broker, ``up``, ``down``, ``unknown``, or ``more`` for those that are not drawn.
        line: the path to this broker; empty for it itself.
    """

    x: int
    y: int
    name: str
    whole: str
    words: str
    state: str
    line: str = ""


class Heading(msgspec.Struct, frozen=True):
    """The name of a column of the map."""

    x: int
    text: str


class LinkMap(msgspec.Struct, frozen=True):
    """The map.

    Attributes:
        height: of the drawing.
        headings: of the columns that have somebody.
        boxes: the brokers, this one first.
    """

    height: int
    headings: tuple[Heading, ...]
    boxes: tuple[Box, ...]


def link_map(identity: str, links: Sequence[Link]) -> LinkMap:
    """Draw the map.

    Args:
        identity: of this broker.
        links: its links.
    """
    members = [each for each in links if each.kind is LinkKind.MEMBER]
    gateways = [each for each in links if each.kind is LinkKind.GATEWAY]
    leafnodes = [each for each in links if each.kind is LinkKind.LEAFNODE]
    sides = (_worst_first(gateways), _worst_first(leafnodes))
    # Members stand below this broker in its column, so that column is one longer.
    rows = max(min(len(members), _MOST + 1) + 1, *(min(len(each), _MOST + 1) for each in sides))
    height = _HEAD + rows * (BOX_HEIGHT + _GAP) + _MARGIN
    here = Box(_COLUMNS[1], _row(0), _cut(identity), identity, "this broker", "here")
    boxes = (
        here,
        *_column(_worst_first(members), 1, 1, here),
        *_column(sides[0], 0, 0, here),
        *_column(sides[1], 2, 0, here),
    )
    named = ((0, "Other clusters", gateways), (1, "Cluster", (here,)), (2, "Leafnodes", leafnodes))
    headings = tuple(Heading(_COLUMNS[at], text) for at, text, there in named if there)
    return LinkMap(height, headings, boxes)


def state_of(link: Link) -> str:
    """Tell in a word how a link is."""
    return {True: "up", False: "down", None: "unknown"}[link.connected]


def _worst_first(links: Sequence[Link]) -> list[Link]:
    return sorted(links, key=lambda each: ("down", "unknown", "up").index(state_of(each)))


def _column(links: Sequence[Link], column: int, first: int, here: Box) -> Iterator[Box]:
    for at, link in enumerate(links[:_MOST]):
        x, y = _COLUMNS[column], _row(first + at)
        name = plain(link.name)
        yield Box(x, y, _cut(name), name, _words(link), state_of(link), _line(here, x, y, column))
    left_out = len(links) - _MOST
    if left_out > 0:
        y = _row(first + _MOST)
        yield Box(_COLUMNS[column], y, f"and {left_out} more", f"and {left_out} more", "see the table", "more")


def _row(number: int) -> int:
    return _HEAD + number * (BOX_HEIGHT + _GAP)


def _line(here: Box, x: int, y: int, column: int) -> str:
    """Draw the way from this broker to another: along the edge in its own column, across the gap to others."""
    middle, half = here.y + BOX_HEIGHT // 2, y + BOX_HEIGHT // 2
    if column == 1:
        return f"M{here.x} {middle}h-18V{half}h18"
    start, end = (here.x, x + BOX_WIDTH) if column == 0 else (here.x + BOX_WIDTH, x)
    bend = (start + end) // 2
    return f"M{start} {middle}C{bend} {middle} {bend} {half} {end} {half}"


def _words(link: Link) -> str:
    if link.connected is None:
        return "not known yet"
    if not link.connected:
        return f"not connected{f': {link.cause}' if link.cause else ''}"
    told = ("" if link.rtt_ms is None else f"{link.rtt_ms:.1f} ms", link.version)
    return " · ".join(filter(None, told)) or "connected"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
