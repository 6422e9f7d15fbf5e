"""The first page: how the broker is in a sentence, why, and what is to be done about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from choria_broker.stats.history import Drawn
from choria_broker.status.changes import HealthChange
from choria_broker.status.document import Status
from choria_broker.ui.graphs import Graph, graphs
from choria_broker.ui.page import Asked, Knowledge, Page


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """How the broker is.

    Attributes:
        condition: ``ok``, ``degraded``, ``draining`` or ``failing``.
        sentence: the same for people.
        reasons: everything that needs attention, the worst first.
        since: since when it is so, Unix seconds.
        changes: the latest changes, the latest first.
        graphs: the last hour; empty before anything was read.
    """

    condition: str
    sentence: str
    reasons: tuple[str, ...]
    since: float
    changes: tuple[HealthChange, ...]
    graphs: tuple[Graph, ...]


def view(facts: tuple[Status, Drawn], _asked: Asked) -> HealthView:
    """Make the page."""
    found, drawn = facts
    return HealthView(
        condition=found.health.condition,
        sentence=found.health.sentence,
        reasons=found.health.reasons,
        since=found.health_since,
        changes=found.health_changes,
        graphs=graphs(drawn) if drawn.times else (),
    )


def document(found: HealthView) -> Mapping[str, object]:
    """Tell programs everything but the drawings."""
    return {each.name: getattr(found, each.name) for each in dataclasses.fields(found) if each.name != "graphs"}


async def _facts(known: Knowledge, _asked: Asked) -> tuple[Status, Drawn]:
    return known.status(), known.history()


PAGE = Page(name="health", title="Health", group="Now", facts=_facts, view=view, document=document)
