"""What operators did: who, when, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from choria_broker.audit.acts import ActReport
from choria_broker.status.document import Status, UpgradeReport
from choria_broker.status.drains import OFF, DrainReport
from choria_broker.ui.page import Asked, Group, Knowledge, Page


class ActsView(msgspec.Struct, frozen=True, kw_only=True):
    """The latest acts.

    Attributes:
        acts: the latest first.
        drain: the one under way, None when there is none.
        upgrade: the last one, None before the first.
    """

    acts: tuple[ActReport, ...]
    drain: DrainReport | None
    upgrade: UpgradeReport | None


def view(facts: tuple[Status, Sequence[ActReport]], _asked: Asked) -> ActsView:
    """Make the page."""
    status, acts = facts
    drain = status.drain if status.drain.state != OFF else None
    return ActsView(acts=tuple(acts), drain=drain, upgrade=status.upgrade)


async def _facts(known: Knowledge, _asked: Asked) -> tuple[Status, Sequence[ActReport]]:
    return known.status(), known.acts()


PAGE = Page(name="acts", title="Acts", group=Group.BROKER, place=30, facts=_facts, view=view)
