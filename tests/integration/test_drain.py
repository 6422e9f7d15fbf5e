"""Draining: connections and leaders move elsewhere, nothing that was acknowledged is lost, and it can be taken back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import nats.errors
import nats.js.errors
import pytest
from click.testing import CliRunner, Result
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.client_end import let_go
from choria_broker.errors import DrainError, NotReadyError
from choria_broker.status.drains import DRAINED, DRAINING, OFF, DrainReport
from support.command import started
from support.leaflinks import hub, remote, spoke
from support.streaming import ask, kept, member
from support.testbed import Authority, OrderedClient, client, client_of, configuration, free_port, ignore_error
from support.topology import Node, carried, leafnodes, nodes, running
from support.websockets import websocket_client

DEADLINE = 60.0
WHO = "a test"


async def state(broker: NetworkBroker, wanted: str) -> DrainReport:
    """Wait until a drain is in a state."""
    async with asyncio.timeout(DEADLINE):
        while broker.drains.report.state != wanted:
            await asyncio.sleep(0.02)
    return broker.drains.report


async def drain(config: Path, *arguments: str) -> Result:
    """Give the command."""
    command = ["drain", "--config", str(config), *arguments]
    async with asyncio.timeout(DEADLINE):
        return await asyncio.to_thread(CliRunner().invoke, main, command)


async def page(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


def acts(caplog: pytest.LogCaptureFixture, act: str) -> list[Any]:
    return [each for each in caplog.records if each.name == "choria_broker.audit" and getattr(each, "act", "") == act]


async def test_a_broker_alone_is_drained_and_taken_back(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    config = configuration(tmp_path, authority, plugin__choria__stats_port=port, network__client_port=free_port())
    async with (
        NetworkBroker.from_file(config) as broker,
        client(broker, authority.context(authority.issue("one"))) as connection,
    ):
        before = (await page(port, "/choria/healthz"))[0]
        done = await drain(config, "--over", "1h", "--no-wait")
        assert (before, done.exit_code) == (200, 0), done.output
        report = await state(broker, DRAINING)
        async with asyncio.timeout(DEADLINE):
            while broker.drains.report.left != 1:
                await asyncio.sleep(0.02)
        assert "uid" in report.by
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", broker.ports.client)
        status, text = await page(port, "/choria/healthz")
        assert (status, text) == (503, "1 of 1 connection are left, and new ones are refused\n")
        shown = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--config", str(config)])
        assert "Health: The broker is draining: 1 of 1 connection" in shown.output
        assert "Drain over 1h0m0s, by " in shown.output
        status, text = await page(port, "/metrics")
        assert "choria_broker_draining{" in text
        assert 'condition="draining"' in text
        done = await drain(config, "--cancel", "--json")
        assert (done.exit_code, json.loads(done.output)["left"]) == (0, 1)
        assert (await page(port, "/choria/healthz"))[0] == 200
        await connection.flush()
        async with client(broker, authority.context(authority.issue("two"))):
            pass
        done = await drain(config, "--cancel")
        assert (done.exit_code, done.output) == (0, "The broker was not draining.\n")
        done = await drain(config, "--over", "0")
        assert done.exit_code == 0, done.output
        assert "Drained: no connection is left, and new ones are refused. Moved so far: 1 connection.\n" in done.output
        async with asyncio.timeout(DEADLINE):
            while not connection.is_closed:
                await asyncio.sleep(0.02)


async def test_an_order_that_makes_no_sense_changes_nothing(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    done = await drain(config)
    assert (done.exit_code, "no broker runs" in done.output) == (1, True)
    assert (await drain(config, "--over", "soon")).exit_code == 2
    broker = NetworkBroker.from_file(config)
    with pytest.raises(NotReadyError):
        await broker.drains.begin(1, WHO)
    async with broker:
        done = await drain(config, "--over", "25h")
        assert (done.exit_code, done.output) == (1, "a drain takes 0 s to 24 h\n")
        with pytest.raises(DrainError):
            await broker.drains.begin(-1, WHO)
        assert broker.drains.report.state == OFF
        async with client(broker, authority.context(authority.issue("one"))):
            pass


async def test_each_act_has_one_line_of_audit(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with contextlib.AsyncExitStack() as after:  # noqa: SIM117 - it is to end after the broker
        async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
            await broker.drains.begin(3600, "first")
            await state(broker, DRAINED)
            await broker.drains.cancel("second")
            await broker.drains.cancel("nobody, since there is none")
            await broker.drains.begin(0, "third")
            await state(broker, DRAINED)
            await broker.drains.cancel("second")
            await after.enter_async_context(client(broker, authority.context(authority.issue("one.mcollective"))))
            await broker.drains.begin(3600, "fourth")
            await broker.drains.begin(1800, "fifth")
    lines = [(each.by, each.outcome) for each in acts(caplog, "drain")]
    assert lines == [
        ("first", "moved 0 connections"),
        ("third", "moved 0 connections"),
        ("fourth", "replaced by another drain, after it moved 0 connections"),
        ("fifth", "the broker stops, after it moved 0 connections"),
    ]
    assert [each.by for each in acts(caplog, "drain --cancel")] == ["second", "second"]


async def test_a_reload_during_a_drain_leaves_it_as_it_is(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    async with (
        NetworkBroker.from_file(config) as broker,
        client(broker, authority.context(authority.issue("one"))) as connection,
    ):
        await broker.drains.begin(3600, WHO)
        config.write_text(
            config.read_text(encoding="utf-8") + "plugin.choria.network.max_connections = 77\n", encoding="utf-8"
        )
        await broker.reload()
        assert broker.drains.report.state == DRAINING
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", broker.ports.client)
        await connection.flush()
        await broker.drains.begin(0, WHO)
        assert (await state(broker, DRAINED)).ended == 1


@pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")  # nats-py's, of aiohttp
async def test_websockets_and_leafnodes_are_moved_too_and_come_back(tmp_path: Path, authority: Authority) -> None:
    hq, site, port = Node("hq.example.net"), Node("site.example.net"), free_port()
    above = hub(tmp_path, authority, hq, network__websocket_port=port)
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode))
    bob = authority.context(authority.issue("bob.mcollective"))
    async with (
        above,
        below,
        websocket_client(port, bob, connect_timeout=DEADLINE) as web,
        client(above, bob, connect_timeout=DEADLINE) as plain,
        client(below, bob, connect_timeout=DEADLINE) as far,
    ):
        await leafnodes(hq, 1)
        await carried(far, web)
        await above.drains.begin(0.3, WHO)
        report = await state(above, DRAINED)
        assert (report.connections, report.ended, report.left) == (3, 3, 0)
        async with asyncio.timeout(DEADLINE):
            while not (web.is_closed and plain.is_closed):
                await asyncio.sleep(0.02)
        await leafnodes(hq, 0)
        for each in (port, hq.leafnode):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", each)
        assert {each.reason for each in await above.departed()} == {"moved to another broker by a drain"}
        await above.drains.cancel(WHO)
        async with websocket_client(port, bob, connect_timeout=DEADLINE) as again:
            await leafnodes(hq, 1)
            await carried(far, again)


class Writer:
    """A client of both members that publishes until it is told to stop, and remembers what was acknowledged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged: set[str] = set()
        self.stop = asyncio.Event()
        self.client = OrderedClient()

    async def write(self, urls: list[str], context: Any) -> None:
        await self.client.connect(
            urls, tls=context, dont_randomize=True, connect_timeout=5, reconnect_time_wait=0, error_cb=ignore_error
        )
        streams, number = self.client.jetstream(), 0
        while not self.stop.is_set():
            number += 1
            payload = f"{self.name}-{number}"
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                await streams.publish("load.test", payload.encode(), timeout=1)
                self.acknowledged.add(payload)

    async def grows(self, count: int) -> None:
        wanted = len(self.acknowledged) + count
        async with asyncio.timeout(DEADLINE):
            while len(self.acknowledged) < wanted:
                await asyncio.sleep(0.01)


async def stored(connection: Client) -> set[str]:
    """Read all messages of the stream."""
    streams = connection.jetstream()
    found: set[str] = set()
    subscription = await streams.subscribe("load.test", stream="LOAD", ordered_consumer=True)
    wanted = (await streams.stream_info("LOAD")).state.messages
    async with asyncio.timeout(DEADLINE):
        while len(found) < wanted:
            found.add((await subscription.next_msg(timeout=DEADLINE)).data.decode())
    return found


async def led_by(identity: str, connection: Client, copies: int) -> None:
    """Make the stream that is written to, and have a member lead it."""
    config = {"name": "LOAD", "subjects": ["load.test"], "num_replicas": copies, "storage": "file"}
    async with asyncio.timeout(DEADLINE):
        while "error" in (await ask(connection, "STREAM.CREATE.LOAD", config)):
            await asyncio.sleep(0.1)
        while True:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                found = await ask(connection, "STREAM.INFO.LOAD", timeout=1)
                if found["cluster"].get("leader") == identity:
                    break
                preferred = {"placement": {"preferred": identity}}
                await ask(connection, "STREAM.LEADER.STEPDOWN.LOAD", preferred, timeout=1)
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "copies"), [(2, 2), (3, 3)])
async def test_no_acknowledged_message_is_lost_and_everybody_ends_on_another_member(
    tmp_path: Path, authority: Authority, size: int, copies: int
) -> None:
    members = nodes(size)
    brokers = [member(tmp_path, authority, each, *members, network__stream__event_replicas=1) for each in members]
    first = brokers[0]
    async with running(brokers):
        await kept(first)
        own = await first.connect()
        await led_by(members[0].identity, own, copies)
        urls = [f"tls://127.0.0.1:{each.client}" for each in members]
        writers = [Writer(f"writer{number}") for number in range(6)]
        async with asyncio.TaskGroup() as tasks:
            for each in writers:
                tasks.create_task(each.write(urls, authority.context(authority.issue("node1.mcollective"))))
            for each in writers:
                await each.grows(5)
            assert {each.client.connected_url.port for each in writers if each.client.connected_url} == {
                members[0].client
            }
            await first.drains.begin(0.5, WHO)
            report = await state(first, DRAINED)
            assert (report.left, report.leaders) == (0, 0)
            assert report.ended >= len(writers)
            assert report.handed_over >= 1
            for each in writers:
                await each.grows(5)
                assert each.client.connected_url is not None
                assert each.client.connected_url.port != members[0].client
                each.stop.set()
        other = await brokers[1].connect()
        found = await ask(other, "STREAM.INFO.LOAD")
        assert found["cluster"]["leader"] != members[0].identity
        assert await stored(other) >= set().union(*(each.acknowledged for each in writers))
        await first.drains.cancel(WHO)
        async with client(first, authority.context(authority.issue("two.mcollective"))) as back:
            await back.flush()
        for connection in (own, other, *(each.client for each in writers)):
            await let_go(connection)


async def test_a_stop_drains_first_and_a_second_request_cuts_that_short(tmp_path: Path, authority: Authority) -> None:
    log, port = tmp_path / "log", free_port()
    config = configuration(tmp_path, authority, logfile=log, network__drain_on_stop="1h", network__client_port=port)
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        async with client_of(
            f"tls://127.0.0.1:{port}", authority.context(authority.issue("one.mcollective"))
        ) as connection:
            program.send(signal.SIGTERM)
            await program.told("STOPPING=1")
            assert (await program.logs("Draining over 1h0m0s"))["by"] == "the stop"
            await connection.flush()
            program.send(signal.SIGTERM)
            assert await program.ended() == 0
            await program.logs("Not waiting for the drain any longer")


async def test_a_stop_waits_until_everybody_has_moved(tmp_path: Path, authority: Authority) -> None:
    log, port = tmp_path / "log", free_port()
    config = configuration(tmp_path, authority, logfile=log, network__drain_on_stop="200ms", network__client_port=port)
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        async with client_of(f"tls://127.0.0.1:{port}", authority.context(authority.issue("one.mcollective"))):
            program.send(signal.SIGTERM)
            assert await program.ended() == 0
            assert (await program.logs("Drained: no connection is left"))["moved"] == "1 connection"


@pytest.mark.slow
@pytest.mark.timeout(180)  # A group has to be without a leader for 5 s, and then to elect one.
async def test_members_that_drain_lead_again_where_nobody_else_is_left(tmp_path: Path, authority: Authority) -> None:
    members = nodes(3)
    *staying, third = [
        member(tmp_path, authority, each, *members, network__stream__event_replicas=1) for each in members
    ]
    async with running(staying):
        async with third:
            await kept(third)
            own = await staying[0].connect()
            await ask(own, "STREAM.CREATE.LOAD", {"name": "LOAD", "subjects": ["load.test"], "num_replicas": 3})
            await own.jetstream().publish("load.test", b"kept", timeout=DEADLINE)
            for each in staying:
                await each.drains.begin(0, WHO)
                assert (await state(each, DRAINED)).leaders == 0
        # Whoever leads now goes on to: the lead does not go to and fro between two that drain.
        async with asyncio.timeout(4 * DEADLINE):
            stored = 0
            while stored < 15:
                try:
                    await own.jetstream().publish("load.test", b"more", timeout=3)
                except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
                    stored = 0
                else:
                    stored += 1
                await asyncio.sleep(0.1)
        assert {each.drains.report.state for each in staying} == {DRAINED}
        await let_go(own)
