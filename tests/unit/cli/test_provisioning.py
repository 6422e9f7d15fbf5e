"""Nodes that wait for provisioning, in a table and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from choria_broker.access.selection import Selection
from choria_broker.access.session import Holder, Session
from choria_broker.cli import provisioning as command
from choria_broker.sessions.documents import Page
from choria_broker.status.document import ProvisioningReport
from support.sessions import session
from support.statuses import STATUS

NODES = [
    session(number, since=100.0 - number, account="provisioning", holder=Holder(method="provisioning"))
    for number in range(1, 13)
]


def run(
    monkeypatch: pytest.MonkeyPatch,
    report: ProvisioningReport | None,
    provisioners: list[Session],
    *options: str,
) -> Result:
    """Answer in pages of ten."""

    def page(_config: Path, selection: Selection, after: int = 0) -> Page:
        nodes = NODES if report and report.waiting else []
        found = [
            each for each in (nodes if selection.method == "provisioning" else provisioners) if each.connection > after
        ]
        return Page(200.0, tuple(found[:10]), more=len(found) > 10)

    monkeypatch.setattr(command, "ask_status", lambda _config: msgspec.structs.replace(STATUS, provisioning=report))
    monkeypatch.setattr(command, "ask_connections", page)
    return CliRunner().invoke(command.provisioning, ["--config", "x", *options])


def test_nodes_wait_and_nobody_provisions(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, ProvisioningReport(12, 88.0, 0), [], "--limit", "2")
    assert result.exit_code == 3
    lines = result.output.splitlines()
    assert lines[0] == ("12 nodes wait, the first since 1970-01-01 00:01:28 UTC; no provisioner is connected.")
    assert lines[2] == "Nodes that wait, 2 of 12 shown:"
    assert [line.split()[0] for line in lines[3:]] == ["CID", "12", "11"]


def test_a_provisioner_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, ProvisioningReport(12, 88.0, 1), [session(50, holder=Holder(method="provisioner"))])
    assert result.exit_code == 0
    assert "Provisioners, 1 of 1 shown:" in result.output
    elsewhere = run(monkeypatch, ProvisioningReport(12, 88.0, 0, elsewhere=True), [], "--json")
    assert elsewhere.exit_code == 0
    found = json.loads(elsewhere.output)
    assert found["provisioning"]["waiting"] == len(found["nodes"]) == 12
    assert found["provisioners"] == []


def test_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, ProvisioningReport(0, 0.0, 0), [])
    assert (result.exit_code, result.output) == (0, "No node waits; no provisioner is connected.\n")


def test_a_broker_without_provisioning(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, None, [])
    assert result.exit_code == 1
    assert "plugin.choria.network.provisioning.signer_cert" in result.output
