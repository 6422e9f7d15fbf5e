"""The broker's side of a reload, against an engine played by the test."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from choria_broker.errors import GateError, NotReadyError
from support.fake_engine import DEADLINE, GREETING, HELLO, READY, connected, framed

CHANGED = msgspec.structs.replace(HELLO, generation=1, mappings=(("a", "b"),))


async def test_a_reload_is_answered() -> None:
    async with connected() as (broker, engine, _), asyncio.TaskGroup() as tasks:
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        for number, problem in ((1, ""), (2, "no syntax")):
            reload = tasks.create_task(broker.gate.reload(CHANGED, DEADLINE))
            asked = await engine.receive()
            assert (asked["type"], asked["id"]) == ("reload", number)
            assert asked["hello"] == json.loads(msgspec.json.encode(CHANGED))
            engine.send(type="reloaded", id=number, problem=problem)
            assert await reload == problem


async def test_a_late_answer_is_nobodys() -> None:
    async with connected() as (broker, engine, _), asyncio.TaskGroup() as tasks:
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        with pytest.raises(NotReadyError, match="did not report the result of the reload within 0 s"):
            await broker.gate.reload(CHANGED, 0.01)
        reload = tasks.create_task(broker.gate.reload(CHANGED, DEADLINE))
        assert [(await engine.receive())["id"] for _ in range(2)] == [1, 2]
        engine.send(type="reloaded", id=1, problem="too late")
        engine.send(type="reloaded", id=2, problem="in time")
        assert await reload == "in time"


async def test_an_engine_that_ends_answers_no_more() -> None:
    async with connected() as (broker, engine, _), asyncio.TaskGroup() as tasks:
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)

        async def end() -> None:
            await engine.receive()
            engine.close()

        tasks.create_task(end())
        with pytest.raises(NotReadyError, match="the engine ended"):
            await broker.gate.reload(CHANGED, DEADLINE)
        with pytest.raises(NotReadyError, match="not running"):
            await broker.gate.reload(CHANGED, DEADLINE)


async def test_before_it_is_ready_an_engine_is_not_asked() -> None:
    async with connected() as (broker, engine, _):
        engine.send_raw(framed(GREETING))
        with pytest.raises(NotReadyError, match="not running"):
            await broker.gate.reload(CHANGED, DEADLINE)


async def test_an_answer_that_nobody_asked_for_breaks_the_protocol() -> None:
    async with connected() as (broker, engine, task):
        engine.send_raw(framed(GREETING, READY))
        engine.send(type="reloaded", id=1, problem="")
        await asyncio.wait_for(task, DEADLINE)
    assert task.done()
    with pytest.raises(GateError, match="unexpected Reloaded"):
        broker.gate._receive(b'{"type":"reloaded","id":1,"problem":""}')


async def test_a_new_policy_is_told_before_what_it_decides() -> None:
    async with connected() as (broker, engine, _):
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        broker.gate.renew(2)
        engine.ask(1)
        assert await engine.receive() == {"type": "generation", "generation": 2}
        assert (await engine.receive())["generation"] == 2
