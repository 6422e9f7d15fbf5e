"""A process of a companion: what it is told of its surroundings, and that it can be ended."""

from __future__ import annotations

import sys

from choria_broker.companions.channel import Channel, Report, pair
from choria_broker.companions.process import CompanionProcess, environment
from choria_broker.companions.spec import ADAPTER, Key, Share, Spec
from choria_broker.host.children import Child, started
from choria_broker.host.succession import unnamed
from choria_broker.log.outlet import Outlet


def test_variables_that_may_hold_secrets_are_kept_back() -> None:
    given = {"PATH": "/bin", "MCOLLECTIVE_NATS_PASSWORD": "x", "CHORIA_SRV_DOMAIN": "x", "NOTIFY_SOCKET": "x"}
    assert environment(given) == {"PATH": "/bin"}


async def test_a_process_that_is_not_listened_to_is_gone_all_the_same() -> None:
    process = CompanionProcess.start(Spec(Key(ADAPTER, "reg"), "b", b"\xc1"), Share(), None)
    await process.end()
    await process.end()
    assert not process._child.alive


def short_lived(output: int) -> Child:
    """Start a process that ends at once."""
    return started([sys.executable, "-c", ""], (), output, {})


async def test_lines_for_which_it_had_no_room_count_as_dropped() -> None:
    ours, theirs = pair()
    output = unnamed(b"")
    process = CompanionProcess(short_lived(output), Channel(ours), output)
    before = Outlet.dropped_by_all
    with theirs:
        for lines in (2, 2, 5):
            assert Channel(theirs).send(Report({}, {}, lines))
    heard: list[Report] = []
    assert await process.ended(heard.append) == 0
    assert [each.lines_dropped for each in heard] == [2, 2, 5]
    assert Outlet.dropped_by_all - before == 5
