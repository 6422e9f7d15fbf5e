"""Sessions end when their right does, and no others: held against a plain model over random histories."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from choria_broker.access.revoked import Revocations
from choria_broker.access.session import Holder, Session
from choria_broker.enforcement.keeper import Enforcement
from choria_broker.enforcement.wheel import HORIZON, Wheel
from choria_broker.errors import NotReadyError
from choria_broker.host.succession import Succession
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import NOTHING_REVOKED, Entry, EntryKind, Revocation
from choria_broker.values import replace
from support.fuzzing import examples
from support.revoked_people import CAS, ENTRIES, PEOPLE, is_revoked, revocation
from support.sessions import session

BOB = Holder(caller="up=bob", expires=100)
EVE = Holder(caller="up=eve")
REVOKED_BOB = Revocation(entries=(Entry(EntryKind.CALLER, "up=bob", Origin("/r", 1)),))


class World:
    """An engine with sessions, a policy that changes, and a clock that may be set."""

    def __init__(self) -> None:
        self.now = 10.0
        self.made: Revocation = NOTHING_REVOKED
        self.live: dict[int, Session] = {}
        self.gone: list[tuple[Session, float, Revocation]] = []
        self.reasons: list[str] = []
        self.failures = 0
        self.listed = 0
        self.enforcement = Enforcement(self, lambda: Revocations(self.made), lambda: self.now)

    async def sessions(self) -> tuple[Session, ...]:
        self.listed += 1
        if self.failures:
            self.failures -= 1
            raise NotReadyError("the engine hangs")
        return tuple(self.live.values())

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        self.reasons.append(reason)
        ended = [self.live.pop(number) for number in connections if number in self.live]
        self.gone += [(each, self.now, self.made) for each in ended]
        return len(ended)

    def connect(self, holder: Holder) -> bool:
        """Have somebody connect, who is let in as the decision would have it."""
        over = holder.expires is not None and self.now >= holder.expires
        if over or Revocations(self.made).refusal(holder, self.now):
            return False
        number = len(self.live) + len(self.gone) + 1
        self.live[number] = session(number, address="", since=self.now, holder=holder)
        self.enforcement.admitted(number, holder.expires)
        return True

    async def second(self) -> None:
        """Let a second pass."""
        self.now += 1
        await self.enforcement.look()


def over(holder: Holder, made: Revocation, now: float) -> bool:
    return made.enforce_expiry and holder.expires is not None and now >= holder.expires


STEPS = st.one_of(
    st.tuples(st.just("connect"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("entries"), st.lists(st.sampled_from(ENTRIES), max_size=3)),
    st.tuples(
        st.just("lists"), st.dictionaries(st.sampled_from([ca.key for ca in CAS]), st.sets(st.sampled_from("123")))
    ),
    st.tuples(st.just("expiry"), st.booleans()),
    st.tuples(st.just("clock"), st.sampled_from([-400, -50, -1, 1, 30, 95, 300, 2_000])),
    st.tuples(st.just("leave"), st.integers(0, 10)),
    st.tuples(st.just("reload"), st.none()),
    st.tuples(st.just("stall"), st.none()),
)


FOR_A_WHILE = [each for each in ENTRIES if each.until is not None and each.value == "up=bob"]
OF_BOB = [each for each in PEOPLE if each.caller == "up=bob"]


@settings(max_examples=examples(300), deadline=None)
@example([("entries", FOR_A_WHILE), ("clock", 95), ("connect", OF_BOB[0]), ("clock", -50)])
@example([("expiry", True), ("connect", OF_BOB[2]), ("clock", 300)])
@example([("expiry", True), ("connect", PEOPLE[1]), ("clock", 2_000), ("clock", 2_000), ("clock", 2_000)])
@example([("connect", OF_BOB[2]), ("expiry", True), ("clock", 300)])
@given(st.lists(STEPS, max_size=25))
def test_nobody_stays_who_was_revoked_and_nobody_else_goes(steps: list[tuple[str, object]]) -> None:
    asyncio.run(history(steps))


async def history(steps: list[tuple[str, object]]) -> None:
    world = World()
    entries: list[Entry] = []
    lists: dict[str, set[str]] = {}
    expiry = False
    for kind, value in steps:
        match kind, value:
            case "connect", Holder():
                world.connect(value)
            case "clock", int():
                world.now += value
            case "leave", int():
                for number in list(world.live)[value : value + 1]:
                    del world.live[number]
            case "stall", _:
                world.failures = 1
            case _:
                entries = list(value) if kind == "entries" else entries  # type: ignore[call-overload] # a list
                lists = dict(value) if kind == "lists" else lists  # type: ignore[call-overload] # a dictionary
                expiry = bool(value) if kind == "expiry" else expiry
                world.made = revocation(entries, lists, enforce_expiry=expiry)
                try:
                    await world.enforcement.enforce()
                except NotReadyError:
                    world.failures = 0
        world.failures = 0
        await world.second()
        for each in world.live.values():
            assert not is_revoked(each.holder, world.made, world.now), "somebody stays who is revoked"
            assert not over(each.holder, world.made, world.now), "somebody stays whose time is over"
    for each, moment, made in world.gone:
        right = is_revoked(each.holder, made, moment) or over(each.holder, made, moment)
        assert right, "somebody was ended who was neither revoked nor over"


def ran(scenario: Callable[[World], Awaitable[None]]) -> World:
    world = World()
    asyncio.run(scenario(world))  # type: ignore[arg-type] # a coroutine
    return world


def test_revoked_sessions_end_and_are_counted() -> None:
    async def scenario(world: World) -> None:
        for holder in (BOB, EVE, BOB):
            world.connect(holder)
        world.made = REVOKED_BOB
        assert await world.enforcement.enforce() == 2

    world = ran(scenario)
    assert [each.holder for each in world.live.values()] == [EVE]
    assert world.enforcement.ended["revoked-caller"] == 2
    assert world.reasons == ["revoked-caller, /r:1"]


def test_nothing_is_listed_while_nobody_is_revoked() -> None:
    async def scenario(world: World) -> None:
        world.connect(BOB)
        assert await world.enforcement.enforce() == 0
        await world.second()

    assert ran(scenario).listed == 0


def test_an_entry_counts_again_when_the_clock_is_set_back() -> None:
    async def scenario(world: World) -> None:
        ended = replace(REVOKED_BOB.entries[0], until=100.0)
        world.made = Revocation(entries=(ended,))
        world.now = 200.0
        await world.enforcement.enforce()
        assert world.connect(EVE)
        assert world.connect(Holder(caller="up=bob"))
        await world.second()
        assert len(world.live) == 2
        world.now = 50.0
        await world.second()

    assert [each.holder for each in ran(scenario).live.values()] == [EVE]


def test_an_engine_that_stands_still_is_asked_again() -> None:
    async def scenario(world: World) -> None:
        world.connect(BOB)
        world.made, world.failures = REVOKED_BOB, 1
        with pytest.raises(NotReadyError):
            await world.enforcement.enforce()
        await world.second()

    assert not ran(scenario).live


def test_sessions_end_when_their_token_does() -> None:
    async def scenario(world: World) -> None:
        world.made = replace(NOTHING_REVOKED, enforce_expiry=True)
        world.connect(BOB)
        world.connect(EVE)
        await world.second()
        world.now = 98.0
        await world.second()
        assert len(world.live) == 2
        await world.second()

    world = ran(scenario)
    assert [each.holder for each in world.live.values()] == [EVE]
    assert world.enforcement.ended["expired"] == 1


def test_the_watch_goes_on_after_a_failure() -> None:
    async def scenario(world: World) -> None:
        world.connect(BOB)
        world.failures = 1
        async with world.enforcement.kept():
            world.made = REVOKED_BOB
            with pytest.raises(NotReadyError):
                await world.enforcement.enforce()
            async with asyncio.timeout(10):
                while world.live:
                    await asyncio.sleep(0.01)

    ran(scenario)


def test_many_reasons_are_told_as_one() -> None:
    async def scenario(world: World) -> None:
        entries = [Entry(EntryKind.CALLER, f"up={number}", Origin("/r", number)) for number in range(60)]
        for number in range(60):
            world.connect(Holder(caller=f"up={number}"))
        world.made = Revocation(entries=tuple(entries))
        assert await world.enforcement.enforce() == 60

    assert ran(scenario).reasons == ["revoked-caller"]


def test_a_session_that_is_over_before_it_has_begun() -> None:
    async def scenario(world: World) -> None:
        world.made = replace(NOTHING_REVOKED, enforce_expiry=True)
        await world.second()
        world.enforcement.admitted(1, int(world.now))
        world.enforcement.admitted(2, None)
        await world.second()
        late = session(1, address="", account="", tls="anon", since=0.0, holder=BOB)
        world.live[1] = late
        await world.second()
        await world.second()

    assert not ran(scenario).live


def test_after_a_reload_a_failure_is_no_error() -> None:
    async def scenario(world: World) -> None:
        world.connect(BOB)
        world.made, world.failures = REVOKED_BOB, 1
        assert await world.enforcement.after_reload() == 0
        assert await world.enforcement.after_reload() == 1

    ran(scenario)


def test_the_wheel_holds_only_what_is_due_before_long() -> None:
    wheel = Wheel()
    assert wheel.wants_filling(0.0)
    wheel.add(1, None, 0.0)
    wheel.add(2, HORIZON + 1, 0.0)
    assert len(wheel) == 0
    wheel.add(3, HORIZON, 0.0)
    wheel.add(4, 1.0, 0.0)
    assert len(wheel) == 3, "one that is over at once is looked at twice"
    assert wheel.due(2.0) == (4, 4)
    wheel.empty()
    assert len(wheel) == 0


async def test_counts_go_on_in_the_next_program() -> None:
    world = World()
    world.connect(BOB)
    world.made = REVOKED_BOB
    assert await world.enforcement.enforce() == 1
    succession = Succession()
    world.enforcement.remember(succession)

    after = World()
    after.enforcement.recall(Succession.unpacked(succession.packed()))
    assert after.enforcement.ended == world.enforcement.ended
    assert sum(after.enforcement.ended.values()) == 1
    after.enforcement.recall(Succession())
    assert after.enforcement.ended == world.enforcement.ended
