"""Who waits for provisioning, for how long, and whether somebody provisions them."""

from __future__ import annotations

import pytest

from choria_broker.access.session import Holder, Session
from choria_broker.access.waiting import ASK_AFTER, PATIENCE, Waiting, waiting

NOW = 10_000.0
NONE = Waiting()


def session(rule: str, since: float = NOW) -> Session:
    return Session(
        connection=1,
        kind="client",
        address="192.0.2.1",
        account="provisioning",
        username="",
        tls="anon",
        since=since,
        holder=Holder(rule=rule),
    )


NODE, PROVISIONER = session("provisionee"), session("provisioner")


def test_nodes_and_provisioners_are_counted_and_nobody_else() -> None:
    found = waiting((session("provisionee", 5.0), session("server-token", 1.0), NODE, PROVISIONER), NONE, NOW)

    assert (found.nodes, found.oldest, found.provisioners) == (2, 5.0, 1)
    assert waiting((), found, NOW) == Waiting(served=NOW, time=NOW)


@pytest.mark.parametrize(
    ("sessions", "before", "stalled"),
    [
        ((session("provisionee", NOW - PATIENCE),), NONE, True),
        ((session("provisionee", NOW - PATIENCE + 1),), NONE, False),
        ((session("provisionee", NOW - PATIENCE), PROVISIONER), NONE, False),
        ((session("provisionee", NOW - PATIENCE),), Waiting(served=NOW - 1), False),
        ((session("provisionee", NOW - PATIENCE),), Waiting(nodes=1, elsewhere=True), False),
        ((), NONE, False),
    ],
    ids=["too long", "not yet", "there is one", "there was one", "there is one elsewhere", "nobody waits"],
)
def test_it_is_trouble_when_nodes_wait_too_long_and_nobody_provisions_them(
    sessions: tuple[Session, ...], before: Waiting, *, stalled: bool
) -> None:
    assert waiting(sessions, before, NOW).stalled is stalled


def test_others_are_asked_after_a_minute_and_each_minute() -> None:
    begun = waiting((NODE,), NONE, NOW)
    assert not begun.asks
    later = waiting((NODE,), begun, NOW + ASK_AFTER)
    assert later.asks
    asked = later.answered(found=False, silent=True)
    assert (asked.asks, asked.silent, asked.elsewhere) == (False, True, False)
    assert not waiting((NODE,), asked, NOW + 2 * ASK_AFTER - 1).asks
    assert waiting((NODE,), asked, NOW + 2 * ASK_AFTER).asks
    assert not waiting((NODE, PROVISIONER), asked, NOW + 2 * ASK_AFTER).asks


def test_a_provisioner_elsewhere_counts_until_others_say_that_there_is_none() -> None:
    there = waiting((NODE,), NONE, NOW + ASK_AFTER).answered(found=True, silent=True)
    assert (there.elsewhere, there.silent, there.alone) == (True, False, 0.0)
    still = waiting((NODE,), there, NOW + 2 * ASK_AFTER)
    assert still.elsewhere
    assert still.asks
    gone = still.answered(found=False, silent=False)
    assert gone.alone == there.time
    assert waiting((NODE,), gone, there.time + PATIENCE).stalled
    assert not waiting((), still, NOW).elsewhere
