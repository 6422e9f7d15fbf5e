"""The broker's side of sessions that are listed and ended, against an engine played by the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from choria_broker.access.session import Departed, Holder, Session
from choria_broker.engine.gate.sessions import PORTION
from choria_broker.errors import GateError, NotReadyError
from support.fake_engine import DEADLINE, GREETING, READY, Broker, FakeEngine, connected, framed

SESSION = {
    "connection": 7,
    "kind": "client",
    "address": "192.0.2.1",
    "account": "choria",
    "username": "bob",
    "tls": "anon",
    "since": 12.5,
    "generation": 3,
    "holder": {"caller": "bob"},
}


ALL = {"busiest": None, "by": ""}


@contextlib.asynccontextmanager
async def ready() -> AsyncIterator[tuple[Broker, FakeEngine, asyncio.TaskGroup]]:
    async with connected() as (broker, engine, _), asyncio.TaskGroup() as tasks:
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        yield broker, engine, tasks


async def test_sessions_are_asked_for_page_by_page() -> None:
    async with ready() as (broker, engine, tasks):
        listing = tasks.create_task(broker.gate.sessions.listed(Session, DEADLINE))
        assert await engine.receive() == {
            "type": "sessions",
            "id": 1,
            "ended": False,
            "after": 0,
            "traffic": False,
            **ALL,
        }
        engine.send(type="listed", id=1, sessions=[SESSION | {"connection": 3}, SESSION], more=True)
        assert await engine.receive() == {
            "type": "sessions",
            "id": 2,
            "ended": False,
            "after": 7,
            "traffic": False,
            **ALL,
        }
        engine.send(type="listed", id=2, sessions=[SESSION | {"connection": 8}], more=False)
        found = await listing
    assert [each.connection for each in found] == [3, 7, 8]
    assert found[1].holder == Holder(caller="bob")


async def test_the_busiest_come_with_what_goes_over_them() -> None:
    rates = {"in_msgs": 1.5, "in_bytes": 2.5, "out_msgs": 3.5, "out_bytes": 4.5}
    async with ready() as (broker, engine, tasks):
        asking = tasks.create_task(broker.gate.sessions.busiest(5, "rate", DEADLINE))
        asked = await engine.receive()
        assert (asked["busiest"], asked["by"], asked["traffic"]) == (5, "rate", True)
        busy = {"seconds": 2.0, "connections": 9, "pending": 1, "waiting": 1, **rates}
        engine.send(type="listed", id=1, sessions=[SESSION | {"rates": rates}], more=False, busy=busy)
        sessions, told = await asking
    assert (sessions[0].rates.messages, told.connections, told.out_bytes) == (5.0, 9, 4.5)


async def test_an_engine_of_before_knows_no_busiest() -> None:
    async with ready() as (broker, engine, tasks):

        async def answer() -> None:
            await engine.receive()
            engine.send(type="listed", id=1, sessions=[SESSION], more=True)

        tasks.create_task(answer())
        with pytest.raises(NotReadyError, match="restart the broker"):
            await broker.gate.sessions.busiest(5, "rate", DEADLINE)


async def test_those_that_have_ended_have_places_of_their_own() -> None:
    ended = SESSION | {"until": 20.0, "reason": "Client Closed"}
    async with ready() as (broker, engine, tasks):
        listing = tasks.create_task(broker.gate.sessions.listed(Departed, DEADLINE))
        assert (await engine.receive())["ended"] is True
        engine.send(type="listed", id=1, sessions=[ended | {"number": 4}], more=True)
        assert (await engine.receive())["after"] == 4
        engine.send(type="listed", id=2, sessions=[], more=True)
        found = await listing
    assert [(each.number, each.reason) for each in found] == [(4, "Client Closed")]


async def test_a_listing_that_cannot_be_read_ends_nothing() -> None:
    async with ready() as (broker, engine, tasks):

        async def tell() -> None:
            await engine.receive()
            engine.send(type="listed", id=1, sessions=[{"secret": "hunter2"}], more=False)

        tasks.create_task(tell())
        with pytest.raises(GateError, match="not a list of sessions: ValidationError"):
            await broker.gate.sessions.listed(Session, DEADLINE)
        engine.ask(1)
        assert (await engine.receive())["type"] == "verdict"


async def test_sessions_are_ended_in_portions() -> None:
    many = range(1, PORTION + 3)
    async with ready() as (broker, engine, tasks):
        ending = tasks.create_task(broker.gate.sessions.end(many, "kicked by root", DEADLINE))
        first = await engine.receive()
        assert (first["type"], first["reason"], first["connections"]) == (
            "end",
            "kicked by root",
            list(many)[:PORTION],
        )
        engine.send(type="ended", id=1, sessions=PORTION - 1)
        assert (await engine.receive())["connections"] == list(many)[PORTION:]
        engine.send(type="ended", id=2, sessions=2)
        assert await ending == PORTION + 1
        assert await broker.gate.sessions.end((), "nobody", DEADLINE) == 0


async def test_without_an_engine_there_are_none() -> None:
    async with connected() as (broker, engine, _):
        engine.send_raw(framed(GREETING))
        with pytest.raises(NotReadyError, match="not running"):
            await broker.gate.sessions.listed(Session, DEADLINE)
        with pytest.raises(NotReadyError, match="not running"):
            await broker.gate.sessions.end([1], "x", DEADLINE)
