"""The broker's side of a drain, against an engine played by the test."""

from __future__ import annotations

import asyncio

import pytest

from choria_broker.engine.events import Moving
from choria_broker.engine.gate import frames
from choria_broker.errors import NotReadyError
from support.fake_engine import DEADLINE, GREETING, READY, connected, framed


async def test_an_order_is_answered() -> None:
    async with connected() as (broker, engine, _), asyncio.TaskGroup() as tasks:
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        for number, order, problem in ((1, frames.DrainOrder(500), ""), (2, frames.DrainOrder(off=True), "a port")):
            drain = tasks.create_task(broker.gate.drain(order, DEADLINE))
            asked = await engine.receive()
            assert (asked["type"], asked["id"]) == ("drain", number)
            assert asked["order"] == {"over_ms": order.over_ms, "off": order.off, "serial": 0}
            engine.send(type="drained", id=number, problem=problem)
            assert await drain == problem


async def test_how_far_it_is_is_known() -> None:
    async with connected() as (broker, engine, _), asyncio.TaskGroup() as tasks:
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        assert broker.gate.counters.moving == Moving()
        engine.send(type="moving", draining=True, left=7, ended=3, leaders=2, handed_over=1)
        drain = tasks.create_task(broker.gate.drain(frames.DrainOrder(), DEADLINE))
        await engine.receive()
        engine.send(type="drained", id=1, problem="")
        await drain
        assert broker.gate.counters.moving == Moving(draining=True, left=7, ended=3, leaders=2, handed_over=1)


async def test_before_it_is_ready_an_engine_is_not_asked() -> None:
    async with connected() as (broker, engine, _):
        engine.send_raw(framed(GREETING))
        with pytest.raises(NotReadyError, match="not running"):
            await broker.gate.drain(frames.DrainOrder(), DEADLINE)
