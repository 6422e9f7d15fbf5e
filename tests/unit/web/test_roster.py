"""One listing of connections for all who look."""

from __future__ import annotations

import asyncio

import pytest

from choria_broker.access.session import Session
from choria_broker.errors import NotReadyError
from choria_broker.web.roster import Roster
from support.dashboard import session


class Engine:
    """Lists one connection, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 1000.0
        self.silent = False

    async def sessions(self) -> tuple[Session, ...]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.silent:
            raise NotReadyError("the engine does not answer")
        return (session(self.asked),)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def roster(engine: Engine) -> Roster:
    return Roster(engine.sessions, lambda: engine.now)


async def test_those_who_look_at_the_same_time_share_one_listing(engine: Engine, roster: Roster) -> None:
    looks = await asyncio.gather(*(roster.look() for _ in range(20)))
    assert engine.asked == 1
    assert all(each is looks[0] for each in looks)


async def test_a_later_look_has_the_earlier_one_beside_it(engine: Engine, roster: Roster) -> None:
    first = await roster.look()
    assert (first.before, first.seconds) == ({}, 0.0)
    engine.now += 10.0
    second = await roster.look()
    assert (list(second.before), second.seconds, second.time) == ([1], 10.0, 1010.0)


@pytest.mark.parametrize("later", [61.0, -100.0])
async def test_a_look_of_long_ago_or_of_another_clock_says_nothing_of_now(
    engine: Engine, roster: Roster, later: float
) -> None:
    await roster.look()
    engine.now += later
    look = await roster.look()
    assert (engine.asked, look.before, look.seconds) == (2, {}, 0.0)


async def test_an_engine_that_does_not_answer_is_asked_again(engine: Engine, roster: Roster) -> None:
    engine.silent = True
    with pytest.raises(NotReadyError):
        await roster.look()
    engine.silent = False
    assert (await roster.look()).sessions


async def test_a_listing_that_took_long_is_used_for_longer(
    engine: Engine, roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((0.0, 0.3, 1.0, 1.3))
    monkeypatch.setattr("choria_broker.web.roster.time.perf_counter", lambda: next(times))
    await roster.look()
    engine.now += 29.0
    await roster.look()
    assert engine.asked == 1
    engine.now += 2.0
    await roster.look()
    assert engine.asked == 2
