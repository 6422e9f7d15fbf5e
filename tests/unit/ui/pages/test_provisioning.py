"""Who waits for provisioning."""

from __future__ import annotations

import pytest

from choria_broker.status.document import ProvisioningReport
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.provisioning import view
from support.dashboard import status_of
from support.scene import hour

DRAWN = hour().drawn()


@pytest.mark.parametrize(
    ("report", "condition", "nodes", "provisioners"),
    [
        (ProvisioningReport(0, 0.0, 0), "ok", "no node waits", "no provisioner is connected"),
        (ProvisioningReport(2, 1.0, 1), "ok", "2 nodes wait", "a provisioner is connected"),
        (ProvisioningReport(1, 1.0, 0), "degraded", "1 node waits", "no provisioner is connected"),
        (
            ProvisioningReport(1, 1.0, 0, elsewhere=True),
            "ok",
            "1 node waits",
            "a provisioner is connected to another broker",
        ),
        (ProvisioningReport(1, 1.0, 0, stalled=True), "failing", "1 node waits", "no provisioner is connected"),
    ],
)
def test_conditions(report: ProvisioningReport, condition: str, nodes: str, provisioners: str) -> None:
    found = view((status_of(provisioning=report), DRAWN), Asked(0.0))
    assert (found.condition, found.nodes, found.provisioners) == (condition, nodes, provisioners)
    assert [each.name for each in found.graphs] == ["nodes", "node_logins"]


def test_a_broker_without_provisioning() -> None:
    found = view((status_of(), DRAWN), Asked(0.0))
    assert (found.report, found.graphs) == (None, ())
