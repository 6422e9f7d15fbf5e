"""What the engine counts by CA, asked for against an engine played by the test."""

from __future__ import annotations

import asyncio

import pytest

from choria_broker.engine.authorities import Count
from choria_broker.errors import GateError, NotReadyError
from support.fake_engine import DEADLINE, GREETING, READY, connected, framed


async def test_the_count_of_the_engine() -> None:
    async with connected() as (broker, engine, _), asyncio.TaskGroup() as tasks:
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        asking = tasks.create_task(broker.gate.authorities(DEADLINE))
        assert await engine.receive() == {"type": "authorities", "id": 1}
        known = {"subject": "CN=ca", "fingerprint": "0a", "expires": 5}
        rows = [{"kind": "client", "tls": "mtls", "count": 2} | known, {"kind": "cluster", "tls": "none", "count": 1}]
        engine.send(type="authorities", id=1, counts=rows)
        assert await asking == (Count("client", "mtls", 2, "CN=ca", "0a", 5), Count("cluster", "none", 1))


async def test_without_an_engine_there_is_no_count() -> None:
    async with connected() as (broker, _, _):
        with pytest.raises(NotReadyError, match="the engine is not running"):
            await broker.gate.authorities(DEADLINE)


async def test_a_count_that_nobody_asked_for_ends_the_gate() -> None:
    async with connected() as (broker, engine, _):
        engine.send_raw(framed(GREETING, READY))
        await asyncio.wait_for(broker.gate.ready, DEADLINE)
        with pytest.raises(GateError, match="unexpected Authorities"):
            broker.gate._receive(b'{"type":"authorities","id":1,"counts":[]}')
