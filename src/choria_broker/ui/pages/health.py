"""The first page: how the broker is in a sentence, why, and what is to be done about it."""

from __future__ import annotations

import dataclasses

from choria_broker.status.changes import HealthChange
from choria_broker.status.document import Status
from choria_broker.ui.page import Asked, Page, status


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """How the broker is.

    Attributes:
        condition: ``ok``, ``degraded``, ``draining`` or ``failing``.
        sentence: the same for people.
        reasons: everything that needs attention, the worst first.
        since: since when it is so, Unix seconds.
        changes: the latest changes, the latest first.
    """

    condition: str
    sentence: str
    reasons: tuple[str, ...]
    since: float
    changes: tuple[HealthChange, ...]


def view(found: Status, _asked: Asked) -> HealthView:
    """Make the page."""
    return HealthView(
        condition=found.health.condition,
        sentence=found.health.sentence,
        reasons=found.health.reasons,
        since=found.health_since,
        changes=found.health_changes,
    )


PAGE = Page(name="health", title="Health", group="Now", facts=status, view=view)
