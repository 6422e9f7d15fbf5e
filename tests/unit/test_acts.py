"""What the broker does when it is asked over the control socket: who asks is looked up only for a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from choria_broker.acts import Operated, broker_acts
from choria_broker.audit.acts import ActBook
from choria_broker.control.protocol import DrainRequest, ReloadRequest, RevokeRequest, UpgradeRequest
from choria_broker.control.server import ActError
from choria_broker.drains import Drains
from choria_broker.reload.reloads import Outcome, Reloads
from choria_broker.settings.network import Network
from choria_broker.settings.operator import Operator
from choria_broker.settings.revocation import Revocation
from choria_broker.status.document import UpgradeBegun
from choria_broker.status.drains import DRAINING, OFF, DrainReport
from choria_broker.status.reloads import ReloadReport, Trigger
from choria_broker.status.revocation import RevokeReport

WHO = "bob (uid 7)"
REPORT = ReloadReport(time=1.0)


class Owner:
    """Has nothing to do, and knows who asked for it."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.report = DrainReport(OFF)
        self.problem: Exception | None = None

    async def who(self) -> str:
        self.heard.append("who")
        return WHO

    async def ask(self, trigger: Trigger, *, dry_run: bool) -> Outcome:
        self.heard += [trigger, dry_run]
        return Outcome(REPORT, ())

    async def begin(self, over: float, who: str) -> DrainReport:
        self.heard += [over, who]
        return DrainReport(DRAINING)

    async def cancel(self, who: str) -> DrainReport:
        self.heard.append(who)
        return self.report

    async def sessions(self) -> tuple[object, ...]:
        return ()

    async def upgrade(self, by: str) -> UpgradeBegun:
        if self.problem:
            raise self.problem
        return UpgradeBegun("1.0", by, 1.0)


async def asked(owner: Owner, request: object, operator: Operator | None = None) -> object:
    stub = cast("Any", owner)
    network = Network(revocation=Revocation(file=Path("/revocations")), operator=operator)
    operated = Operated(stub, cast("Reloads", stub), cast("Drains", stub), lambda: network, owner.upgrade, ActBook())
    return await broker_acts(operated)[type(request)](request, owner.who)


async def test_a_reload_knows_who_wants_it() -> None:
    owner = Owner()
    assert await asked(owner, ReloadRequest(dry_run=True)) is REPORT
    assert owner.heard == ["who", Trigger("command", WHO), True]


@pytest.mark.parametrize(
    ("request_", "heard", "state"),
    [
        (DrainRequest("begin", 5.0), ["who", 5.0, WHO], DRAINING),
        (DrainRequest("cancel"), ["who", WHO], OFF),
        (DrainRequest("look"), [], OFF),
    ],
)
async def test_who_looks_at_a_drain_is_not_looked_up(request_: DrainRequest, heard: list[object], state: str) -> None:
    owner = Owner()
    report = await asked(owner, request_)
    assert isinstance(report, DrainReport)
    assert (owner.heard, report.state) == (heard, state)


async def test_whom_a_revocation_would_hit_is_for_everybody() -> None:
    owner = Owner()
    assert await asked(owner, RevokeRequest("caller", "up=bob", dry_run=True)) == RevokeReport("/revocations")
    assert owner.heard == []


async def test_where_the_engine_verifies_tokens_only_what_it_sees_can_be_revoked() -> None:
    operator = Operator(name="OPS", directory=Path("/store"), token="t")
    report = await asked(Owner(), RevokeRequest("identity", "node", dry_run=True), operator)
    assert report == RevokeReport("/revocations", by_engine=True)
    with pytest.raises(ActError, match="nsc revocations add-user"):
        await asked(Owner(), RevokeRequest("caller", "up=bob", dry_run=True), operator)


async def test_an_entry_that_cannot_be_is_said() -> None:
    with pytest.raises(ActError, match="hexadecimal"):
        await asked(Owner(), RevokeRequest("certificate", "xyz"))


async def test_a_program_that_cannot_be_run_is_said() -> None:
    owner = Owner()
    assert await asked(owner, UpgradeRequest()) == UpgradeBegun("1.0", WHO, 1.0)
    owner.problem = PermissionError(13, "Permission denied", "/program")
    with pytest.raises(ActError, match="Permission denied"):
        await asked(owner, UpgradeRequest())
