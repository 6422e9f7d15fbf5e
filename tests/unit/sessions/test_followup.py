"""Which sessions end after a reload, and when."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import pytest

from choria_broker.access import rules
from choria_broker.access.policy import Policy
from choria_broker.access.session import Departed, Holder, Session
from choria_broker.errors import NotReadyError
from choria_broker.host.succession import Succession
from choria_broker.sessions.followup import REASON, Followup
from choria_broker.settings.network import Network, ReloadSessions, SystemUser
from choria_broker.settings.secret import Secret
from choria_broker.values import replace
from support.sessions import session

DEADLINE = 5.0
POLICY = Policy(is_tls=True, accounts=frozenset({"choria"}))
TOKENS_ONLY = replace(POLICY, client_tokens_only=True)
KEEP, END = (Network(reload_sessions=each) for each in (ReloadSessions.KEEP, ReloadSessions.END))


class Engine:
    """An engine with sessions that certificates have let in; those that are ended are gone."""

    since = 1.0

    def __init__(self, many: int) -> None:
        self.live = list(range(1, many + 1))
        self.portions: asyncio.Queue[list[int]] = asyncio.Queue()
        self.listed = asyncio.Event()
        self.failures = 0

    async def sessions(self, *, traffic: bool = False) -> tuple[Session, ...]:
        del traffic
        self.listed.set()
        if self.failures:
            self.failures -= 1
            raise NotReadyError("the engine did not answer")
        holder = Holder(method="mtls", rule="mtls")
        return tuple(session(number, generation=1, holder=holder) for number in self.live)

    async def departed(self) -> tuple[Departed, ...]:
        return ()

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        assert reason == REASON
        ended = list(connections)
        self.live = [number for number in self.live if number not in ended]
        self.portions.put_nowait(ended)
        return len(ended)

    async def portion(self) -> list[int]:
        return await asyncio.wait_for(self.portions.get(), DEADLINE)


@contextlib.asynccontextmanager
async def following(engine: Engine, spread: float) -> AsyncIterator[Followup]:
    followup = Followup(engine, spread)
    followup.apply(POLICY, 1, KEEP)
    async with followup.served():
        yield followup


async def test_they_end_in_portions_until_all_are_gone() -> None:
    engine = Engine(45)
    async with following(engine, 0.05) as followup:
        followup.apply(TOKENS_ONLY, 2, END)
        followup.reloaded()
        portions = [await engine.portion() for _ in range(20)]
    assert sorted(number for portion in portions for number in portion) == list(range(1, 46))
    assert {len(portion) for portion in portions} == {2, 3}
    assert engine.live == []


@pytest.mark.parametrize(("policy", "what"), [(TOKENS_ONLY, KEEP), (POLICY, END)])
async def test_nobody_ends_who_is_to_stay(policy: Policy, what: Network) -> None:
    engine = Engine(3)
    async with following(engine, 0.0) as followup:
        followup.apply(policy, 2, what)
        followup.reloaded()
        for _ in range(10):
            await asyncio.sleep(0)
    assert engine.listed.is_set() is (what is END)
    assert engine.live == [1, 2, 3]


async def test_a_newer_reload_begins_anew() -> None:
    engine = Engine(40)
    async with following(engine, 3600.0) as followup:
        followup.apply(TOKENS_ONLY, 2, END)
        followup.reloaded()
        assert len(await engine.portion()) == 2
        engine.listed.clear()
        followup.apply(POLICY, 3, END)
        followup.reloaded()
        await asyncio.wait_for(engine.listed.wait(), DEADLINE)
    assert len(engine.live) == 38


async def test_an_engine_that_does_not_answer_is_asked_again_after_the_next(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(1)
    engine.failures = 1
    async with following(engine, 0.0) as followup:
        followup.apply(TOKENS_ONLY, 2, END)
        followup.reloaded()
        await asyncio.wait_for(engine.listed.wait(), DEADLINE)
        followup.reloaded()
        assert await engine.portion() == [1]
    assert "Could not check the sessions after a reload" in caplog.text


async def test_the_next_program_knows_by_which_password_somebody_came_in() -> None:
    login = SystemUser(user="admin", password=Secret("first"))
    before = replace(POLICY, system_user=login, accounts=frozenset({"system"}))
    after = replace(before, system_user=replace(login, password=Secret("second")))
    holder = Holder(method="system", rule=rules.SYSTEM_USER.name)
    one = session(1, generation=1, account="system", username="admin", tls="mtls", holder=holder)
    engine = Engine(0)
    first, second = Followup(engine), Followup(engine)
    first.apply(before, 1, END)
    succession = Succession()
    first.remember(succession)

    second.apply(after, 2, END)
    assert not second._differs(one)
    second.recall(Succession.unpacked(succession.packed()))
    assert second._differs(one)
