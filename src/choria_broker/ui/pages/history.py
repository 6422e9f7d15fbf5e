"""The last hour: graphs, the same in figures, and every point for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from choria_broker.stats.history import Drawn, Series
from choria_broker.ui.graphs import Graph, Row, columns, graphs, rows
from choria_broker.ui.page import Asked, BadInputError, Group, Knowledge, Page

_LONGEST = 20


class HistoryView(msgspec.Struct, frozen=True):
    """The hour; what only people look at is made when they do.

    Attributes:
        hour: all of it.
        drawn: the points that were asked for.
    """

    hour: Drawn
    drawn: Drawn

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """What is drawn."""
        return graphs(self.hour)

    @property
    def columns(self) -> tuple[Series, ...]:
        """Series of the table."""
        return columns()

    @property
    def rows(self) -> tuple[Row, ...]:
        """Rows of the table, the latest first."""
        return rows(self.hour)

    @property
    def begin(self) -> float:
        """When the first point was, Unix seconds; 0 before there is one."""
        return self.hour.times[0] if self.hour.times else 0.0


def view(hour: Drawn, asked: Asked) -> HistoryView:
    """Make the page."""
    return HistoryView(hour, hour.after(_after(asked)))


def document(found: HistoryView) -> Mapping[str, object]:
    """Write every point for programs."""
    drawn = found.drawn
    lines: Sequence[Mapping[str, object]] = [
        {"name": each.name, "title": each.title, "unit": each.unit.value, "values": values}
        for each, values in drawn.values.items()
    ]
    return {"step": drawn.step, "times": drawn.times, "series": lines}


def _after(asked: Asked) -> float:
    """Read the time after which points are asked for; 0 for all.

    Raises:
        BadInputError: it is no time.
    """
    text = asked.text("after")
    if not text:
        return 0.0
    if len(text) > _LONGEST or not text.replace(".", "", 1).isdecimal() or not text.isascii():
        raise BadInputError("after must be a time in Unix seconds.", "Leave after out of the address.")
    return float(text)


async def _facts(known: Knowledge, _asked: Asked) -> Drawn:
    return known.history()


PAGE = Page(
    name="history", title="Last hour", group=Group.NOW, place=20, facts=_facts, view=view, document=document, refresh=10
)
