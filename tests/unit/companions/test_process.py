"""A process of a companion: what it is told of its surroundings, and that it can be ended."""

from __future__ import annotations

from choria_broker.companions.process import CompanionProcess, environment
from choria_broker.companions.spec import ADAPTER, Key, Share, Spec


def test_variables_that_may_hold_secrets_are_kept_back() -> None:
    given = {"PATH": "/bin", "MCOLLECTIVE_NATS_PASSWORD": "x", "CHORIA_SRV_DOMAIN": "x", "NOTIFY_SOCKET": "x"}
    assert environment(given) == {"PATH": "/bin"}


async def test_a_process_that_is_not_listened_to_is_gone_all_the_same() -> None:
    process = CompanionProcess.start(Spec(Key(ADAPTER, "reg"), "b", b"\xc1"), Share(), None)
    await process.end()
    await process.end()
    assert not process._child.alive
