"""Streams in clusters: copies, members that start late, a member that dies under load."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import psutil
import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.errors import EngineDiedError
from choria_broker.streams.keeper import Timers
from choria_broker.streams.report import State
from choria_broker.streams.trouble import TroubleKind
from support.standard_streams import NAMES
from support.streaming import ask, info, kept, member, mounted, outcomes, use_up
from support.testbed import Authority
from support.topology import nodes, running

DEADLINE = 60.0
WRITERS = 8


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    records = [record for record in caplog.records if record.name == "choria_broker.streams"]
    return [record.getMessage() for record in records if record.levelno == level]


async def copies_are_current(connection: Client, stream: str, others: int) -> Any:
    """Wait until a stream has so many other copies and all are up to date, and return everything about it."""
    found: Any = None
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                with contextlib.suppress(nats.errors.Error, TimeoutError):
                    found = await ask(connection, f"STREAM.INFO.{stream}", timeout=1)
                    replicas = found.get("cluster", {}).get("replicas") or []
                    up_to_date = all(each["current"] and not each.get("lag") for each in replicas)
                    if len(replicas) == others and up_to_date:
                        return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"the copies of {stream} do not become current: {found}") from None


async def test_one_member_makes_them_with_a_copy_on_each_and_the_others_find_nothing_to_do(
    tmp_path: Path, authority: Authority
) -> None:
    members = nodes(3)
    brokers = [member(tmp_path, authority, each, *members) for each in members]
    async with running(brokers):
        found = [await kept(each) for each in brokers]
        for name in NAMES:
            assert [outcome[name] for outcome in found].count("created") >= 1
            assert {outcome[name] for outcome in found} <= {"created", "unchanged", "updated"}
        connection = await brokers[0].connect()
        for name in NAMES:
            assert (await copies_are_current(connection, name, 2))["config"]["num_replicas"] == 3
        await let_go(connection)


@pytest.mark.slow
async def test_with_too_few_members_it_is_tried_until_the_others_come(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    members = nodes(3)
    three = {
        f"network__stream__{name}_replicas": 3
        for name in ("event", "machine", "advisory", "executor", "leader_election")
    }
    pauses: list[int] = []

    def pause(attempt: int) -> float:
        pauses.append(attempt)
        return 0.1

    timers = Timers(answer=0.3, first=lambda _wanted, _peers: 0.0, pause=pause)
    first, *others = [member(tmp_path, authority, each, *members, timers=timers, **three) for each in members]
    async with first:
        async with asyncio.timeout(DEADLINE):
            while len(pauses) < 2:
                await asyncio.sleep(0.02)
        assert {report.state for report in first.streams.ledger.reports} >= {State.RETRYING}
        assert lines(caplog, logging.ERROR)
        async with running(others):
            assert set((await kept(first)).values()) <= {"created", "unchanged", "updated"}
            connection = await first.connect()
            for name in NAMES:
                assert (await info(connection, name))["config"]["num_replicas"] == 3
            await let_go(connection)


async def test_members_wait_before_they_begin_and_stop_in_the_middle_of_it(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    members = nodes(2)
    one = member(tmp_path, authority, members[0], *members, timers=Timers())
    async with one:
        async with asyncio.timeout(DEADLINE):
            while not any("Configuring system streams after" in line for line in lines(caplog, logging.INFO)):
                await asyncio.sleep(0.02)
        begun = time.monotonic()
        assert set(outcomes(one).values()) == {"pending"}
    assert time.monotonic() - begun < 9


class Load:
    """What writers publish until they are told to stop, and what of it was acknowledged; see ``loading``.

    Attributes:
        acknowledged: payloads.
    """

    def __init__(self, connections: list[Client]) -> None:
        self._connections = connections
        self.acknowledged: set[bytes] = set()
        self._stop = asyncio.Event()
        self._more = asyncio.Event()

    def stop(self) -> None:
        """Have the writers end."""
        self._stop.set()

    async def grows_by(self, count: int) -> None:
        """Wait until so many more messages were acknowledged."""
        target = len(self.acknowledged) + count
        async with asyncio.timeout(DEADLINE):
            while len(self.acknowledged) < target:
                self._more.clear()
                await self._more.wait()

    async def write(self, writer: int) -> None:
        """Publish until ``stop``."""
        streams = self._connections[writer % len(self._connections)].jetstream()
        number = 0
        while not self._stop.is_set():
            number += 1
            payload = f"{writer}-{number}".encode()
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                # The engine takes a message that is sent again after a lost acknowledgement for the same one.
                await streams.publish("choria.lifecycle.load", payload, timeout=2)
                self.acknowledged.add(payload)
                self._more.set()


@contextlib.asynccontextmanager
async def loading(connections: list[Client]) -> AsyncIterator[Load]:
    """Publish over some connections as long as the context lasts."""
    load = Load(connections)
    async with asyncio.TaskGroup() as writers:
        for writer in range(WRITERS):
            writers.create_task(load.write(writer))
        try:
            yield load
        finally:
            load.stop()


async def led_by(connection: Client, stream: str, identity: str) -> Any:
    """Have a member lead the copies of a stream, wait until it does, and return everything about the stream."""
    document = {"placement": {"preferred": identity}}
    async with asyncio.timeout(DEADLINE):
        found = await copies_are_current(connection, stream, 2)
        while found["cluster"].get("leader") != identity:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await ask(connection, f"STREAM.LEADER.STEPDOWN.{stream}", document, timeout=1)
            found = await copies_are_current(connection, stream, 2)
    return found


async def stored(connection: Client, stream: str) -> set[bytes]:
    """Read the payloads of a whole stream, one after the other, from the member that leads it."""
    state = (await info(connection, stream))["state"]
    found = set()
    async with asyncio.timeout(DEADLINE):
        for sequence in range(state["first_seq"], state["last_seq"] + 1):
            answer = await ask(connection, f"STREAM.MSG.GET.{stream}", {"seq": sequence})
            if "message" in answer:
                found.add(base64.b64decode(answer["message"]["data"]))
    return found


@pytest.mark.slow
async def test_no_acknowledged_message_is_lost_with_a_member_and_the_member_catches_up(
    tmp_path: Path, authority: Authority
) -> None:
    members = nodes(3)
    brokers = [member(tmp_path, authority, each, *members) for each in members]
    dying = asyncio.Event()

    async def run_until_killed(broker: NetworkBroker, ready: asyncio.Event) -> None:
        before = {child.pid for child in psutil.Process().children()}
        with pytest.raises(EngineDiedError):
            async with broker:
                (engine,) = [child for child in psutil.Process().children() if child.pid not in before]
                ready.set()
                await dying.wait()
                engine.kill()
                await asyncio.Event().wait()

    async with running(brokers[:2]), asyncio.TaskGroup() as tasks:
        ready = asyncio.Event()
        victim = tasks.create_task(run_until_killed(brokers[2], ready))
        await ready.wait()
        await kept(brokers[0])
        connections = [await each.connect() for each in brokers[:2]]
        await led_by(connections[0], "CHORIA_EVENTS", members[2].identity)
        async with loading(connections) as load:
            await load.grows_by(500)
            dying.set()
            await victim
            await load.grows_by(1000)
        again = member(tmp_path, authority, members[2], *members)
        async with again:
            await copies_are_current(connections[0], "CHORIA_EVENTS", 2)
            assert await stored(connections[0], "CHORIA_EVENTS") >= load.acknowledged
            assert set((await kept(again)).values()) == {"unchanged"}
            # What was away leads, so that its own copy is read.
            connection = await again.connect()
            await led_by(connection, "CHORIA_EVENTS", members[2].identity)
            assert await stored(connection, "CHORIA_EVENTS") >= load.acknowledged
            await let_go(connection)
        for connection in connections:
            await let_go(connection)


async def test_a_full_disk_of_one_member_stops_streams_there_and_nowhere_else(
    tmp_path: Path, authority: Authority
) -> None:
    members = nodes(3)
    with mounted(tmp_path / "small", "16m") as disk:
        brokers = [member(tmp_path, authority, each, *members) for each in members[:2]]
        brokers.append(member(tmp_path, authority, members[2], *members, network__stream__store=disk))
        async with running(brokers):
            for each in brokers:  # What has not been looked up yet would be found to be in order at another member.
                await kept(each)
            connections = [await each.connect() for each in brokers[:2]]
            await led_by(connections[0], "CHORIA_EVENTS", members[0].identity)
            use_up(disk)
            async with loading(connections) as load, asyncio.timeout(DEADLINE):
                while TroubleKind.STREAMS_OFF not in {
                    noted.trouble.kind for noted in brokers[2].streams.ledger.troubles
                }:
                    await load.grows_by(10)
                await load.grows_by(200)
            assert set(outcomes(brokers[2]).values()) == {"failed"}
            for each in brokers[:2]:
                assert each.streams.ledger.troubles == ()
            assert await stored(connections[0], "CHORIA_EVENTS") >= load.acknowledged
            for connection in connections:
                await let_go(connection)


async def test_a_member_that_becomes_a_lone_broker_keeps_its_messages(tmp_path: Path, authority: Authority) -> None:
    members = nodes(3)
    brokers = [member(tmp_path, authority, each, *members) for each in members]
    async with running(brokers):
        await kept(brokers[0])
        connection = await brokers[0].connect()
        # The first member leads: another would have to tell it of the stream's subjects first.
        await led_by(connection, "CHORIA_EVENTS", members[0].identity)
        for _ in range(10):
            await connection.jetstream().publish("choria.lifecycle.event", b"kept", timeout=DEADLINE)
        await copies_are_current(connection, "CHORIA_EVENTS", 2)
        await let_go(connection)
    for _ in range(2):
        alone = member(tmp_path, authority, members[0])
        async with alone:
            assert (await kept(alone))["CHORIA_EVENTS"] == "unchanged"
            connection = await alone.connect()
            found = await info(connection, "CHORIA_EVENTS")
            assert (found["config"]["num_replicas"], found["state"]["messages"]) == (1, 10)
            await let_go(connection)
