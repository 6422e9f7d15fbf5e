"""Adapters and the federation broker: how they are, where they are connected, what they moved."""

from __future__ import annotations

import msgspec

from choria_broker.companions.reports import CompanionReport, State
from choria_broker.status.document import Status
from choria_broker.ui.page import Asked, Group, Page, status

_CONDITIONS = {State.RUNNING: "ok", State.GIVEN_UP: "failing"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One of them.

    Attributes:
        condition: ``ok``, ``degraded`` or ``failing``.
        companion: how it is.
    """

    condition: str
    companion: CompanionReport


class CompanionsView(msgspec.Struct, frozen=True, kw_only=True):
    """All of them.

    Attributes:
        rows: those in trouble first.
    """

    rows: tuple[Row, ...]


_WORST_FIRST = ("failing", "degraded", "ok")


def view(found: Status, _asked: Asked) -> CompanionsView:
    """Make the page."""
    rows = [Row(condition=_condition(each.state), companion=each) for each in found.companions]
    return CompanionsView(rows=tuple(sorted(rows, key=lambda each: _WORST_FIRST.index(each.condition))))


def _condition(state: str) -> str:
    return next((word for known, word in _CONDITIONS.items() if known == state), "degraded")


PAGE = Page(name="companions", title="Companions", group=Group.NETWORK, place=40, facts=status, view=view)
