"""Provisioning: how many nodes wait, since when, how many come, and whether anybody provisions them."""

from __future__ import annotations

import msgspec

from choria_broker.stats.history import Drawn
from choria_broker.status.document import ProvisioningReport, Status
from choria_broker.status.words import nodes_waiting
from choria_broker.status.words import provisioners as provisioners_in_words
from choria_broker.ui.graphs import NODE_LOGINS, WAITING, Graph, graphs
from choria_broker.ui.page import Asked, Group, Knowledge, Page


class ProvisioningView(msgspec.Struct, frozen=True, kw_only=True):
    """Who waits, and for whom.

    Attributes:
        report: the numbers; None on a broker that has no provisioning.
        condition: ``ok``, ``degraded`` or ``failing``.
        nodes: who waits, in words.
        provisioners: who provisions, in words.
        graphs: the last hour.
    """

    report: ProvisioningReport | None
    condition: str
    nodes: str
    provisioners: str
    graphs: tuple[Graph, ...]


def view(facts: tuple[Status, Drawn], _asked: Asked) -> ProvisioningView:
    """Make the page."""
    status, drawn = facts
    report = status.provisioning
    return ProvisioningView(
        report=report,
        condition=_condition(report) if report else "",
        nodes=nodes_waiting(report) if report else "",
        provisioners=provisioners_in_words(report) if report else "",
        graphs=graphs(drawn, (WAITING, NODE_LOGINS)) if report else (),
    )


def _condition(report: ProvisioningReport) -> str:
    if report.stalled:
        return "failing"
    served = report.provisioners or report.elsewhere
    return "degraded" if report.waiting and not served else "ok"


async def _facts(known: Knowledge, _asked: Asked) -> tuple[Status, Drawn]:
    return known.status(), known.history()


PAGE = Page(
    name="provisioning",
    title="Provisioning",
    group=Group.NETWORK,
    place=30,
    facts=_facts,
    view=view,
    document=lambda found: found.report,
    refresh=10,
)
