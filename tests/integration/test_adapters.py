"""Adapters beside the network broker, and without one: what comes in arrives in a stream."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.companions.reports import CompanionReport
from choria_broker.control.client import ask_status
from support.command import started
from support.registrations import BODY, DOCUMENT, REQUEST, message
from support.testbed import Authority, configuration, free_port

DEADLINE = 60.0
TOPIC = "mcollective.broadcast.agent.registration"
GARBAGE = (
    b'{"protocol":"choria:transport:1","data":"","headers":null}',
    b'{"protocol":"choria:transport:1","data":"","headers":{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    b"",
    b"\xff\x00\r\nPUB x 0\r\n\r\n",
)


def adapter(name: str, **settings: str | int) -> dict[str, str | int]:
    """The settings of an adapter."""
    own: dict[str, str | int] = {"type": "choria_streams", "ingest__topic": TOPIC, "ingest__protocol": "request"}
    return {f"plugin__choria__adapter__{name}__{key}": value for key, value in (own | settings).items()}


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until something is so, and return it."""
    async with asyncio.timeout(DEADLINE):
        while not (found := holds()):
            await asyncio.sleep(0.02)
    return found


async def runs(broker: NetworkBroker, name: str = "") -> CompanionReport:
    """Wait until an adapter is connected everywhere."""

    def there() -> CompanionReport | None:
        reports = broker.statistics.companions
        return next((each for each in reports if each.state == "running" and name in ("", each.name)), None)

    found = await until(there)
    assert isinstance(found, CompanionReport)
    return found


def counted(broker: NetworkBroker, family: str, **labels: str) -> float:
    """Add up a metric."""
    return sum(
        sample.value
        for metric in broker.registry.collect()
        for sample in metric.samples
        if sample.name == family and labels.items() <= sample.labels.items()
    )


async def stream(connection: Client, subject: str) -> Any:
    """Make a stream, and return what reads it."""
    context = connection.jetstream()
    await context.add_stream(name="NODES", subjects=[subject])
    return await context.pull_subscribe(subject, "reader")


async def test_registration_data_arrive_in_a_stream(tmp_path: Path, authority: Authority) -> None:
    settings = adapter("nodes", stream__topic="choria.node_metadata.%s")
    path = configuration(
        tmp_path, authority, plugin__choria__adapters="nodes", network__stream__store=tmp_path / "s", **settings
    )
    async with NetworkBroker.from_file(path) as broker:
        connection = await broker.connect()
        reader = await stream(connection, "choria.node_metadata.>")
        report = await runs(broker)
        assert {name: side.brokers for name, side in report.sides.items()} == {
            "ingest": ("nats://bridge",),
            "output": ("nats://bridge",),
        }
        for number in range(300):
            await connection.publish(TOPIC, message(sender=f"web{number}.example.net"))
            await connection.publish(TOPIC, GARBAGE[number % len(GARBAGE)])
        got: list[Any] = []
        async with asyncio.timeout(DEADLINE):
            while len(got) < 300:
                got += await reader.fetch(100, timeout=DEADLINE)
        documents = {each.subject: json.loads(each.data) for each in got}
        assert documents["choria.node_metadata.web7.example.net"] == {
            "protocol": DOCUMENT,
            "data": BODY,
            "sender": "web7.example.net",
            "time": "2024-02-03T00:00:00Z",
            "requestid": REQUEST,
        }
        assert len(documents) == 300
        await until(lambda: counted(broker, "choria_adapter_errors", role="input") == 300)
        await until(lambda: counted(broker, "choria_adapter_published_msgs", role="output") == 300)
        assert counted(broker, "choria_adapter_received_msgs", role="input") == 300
        assert counted(broker, "choria_adapter_queue_capacity", name="nodes") == 1000
        assert broker.statistics.companions[0].lost == 0


async def test_without_a_network_broker_of_its_own(tmp_path: Path, authority: Authority) -> None:
    hub, alone = tmp_path / "hub", tmp_path / "alone"
    hub.mkdir()
    alone.mkdir()
    async with NetworkBroker.from_file(configuration(hub, authority, network__stream__store=tmp_path / "s")) as broker:
        connection = await broker.connect()
        reader = await stream(connection, "nodes")
        path = configuration(
            alone,
            authority,
            plugin__choria__broker_network=False,
            plugin__choria__adapters="nodes",
            plugin__choria__middleware_hosts=f"localhost:{broker.ports.client}",
            **adapter("nodes"),
        )
        async with NetworkBroker.from_file(path) as other:
            report = await runs(other)
            assert report.sides["ingest"].brokers == (f"nats://localhost:{broker.ports.client}",)
            await connection.publish(TOPIC, message())
            (one,) = await reader.fetch(1, timeout=DEADLINE)
            assert json.loads(one.data)["requestid"] == REQUEST
            assert (other.ports.listening, other.started) == (False, True)
            status = other._reporter.status()
            assert (status.health.condition, status.companions[0].state) == ("ok", "running")
            assert await other.reload() == ()


def two_without_a_network(broker: NetworkBroker, **more: Any) -> dict[str, Any]:
    """Set two adapters that connect to a broker of another process."""
    return {
        "plugin__choria__broker_network": False,
        "plugin__choria__adapters": "nodes, others",
        "plugin__choria__middleware_hosts": f"localhost:{broker.ports.client}",
        **adapter("nodes", stream__topic="nodes.one"),
        **adapter("others", ingest__topic="elsewhere"),
        **more,
    }


@pytest.mark.slow
async def test_a_process_of_adapters_only_is_a_service_like_any_other(tmp_path: Path, authority: Authority) -> None:
    hub, alone, log = tmp_path / "hub", tmp_path / "alone", tmp_path / "alone.log"
    hub.mkdir()
    alone.mkdir()
    async with NetworkBroker.from_file(configuration(hub, authority, network__stream__store=tmp_path / "s")) as broker:
        connection = await broker.connect()
        reader = await stream(connection, "nodes.>")
        port = free_port()
        settings = two_without_a_network(broker, logfile=log, plugin__choria__stats_port=port)
        config = configuration(alone, authority, **settings)
        async with started("run", "--config", config, log=log) as program:
            await program.told("READY=1")
            before = await running_processes(config)
            await connection.publish(TOPIC, message())
            assert (await reader.fetch(1, timeout=DEADLINE))[0].subject == "nodes.one"
            await shows(
                port, 'choria_adapter_published_msgs{identity="broker.example.net",name="nodes.1",role="output"} 1'
            )

            os.kill(before["nodes"], signal.SIGKILL)
            await program.logs("A process ended by itself and is restarted")
            after = await running_processes(config, other_than=before["nodes"])
            assert after["others"] == before["others"]
            await connection.publish(TOPIC, message())
            await reader.fetch(1, timeout=DEADLINE)
            await shows(
                port, 'choria_adapter_published_msgs{identity="broker.example.net",name="nodes.1",role="output"} 2'
            )
            await shows(
                port,
                'choria_broker_companion_restarts_total{identity="broker.example.net",kind="adapter",name="nodes"} 1',
            )

            configuration(alone, authority, **settings | adapter("nodes", type="kafka", stream__topic="nodes.two"))
            program.send(signal.SIGHUP)
            await program.logs("Reload refused, nothing has changed")
            assert await running_processes(config) == after
            configuration(alone, authority, **settings | adapter("nodes", stream__topic="nodes.two"))
            program.send(signal.SIGHUP)
            await program.logs("Reloaded the configuration")
            last = await running_processes(config, other_than=after["nodes"])
            assert last["others"] == after["others"]
            await connection.publish(TOPIC, message())
            assert (await reader.fetch(1, timeout=DEADLINE))[0].subject == "nodes.two"

            program.send(signal.SIGUSR2)
            assert "restart it" in str((await program.logs("Upgrade refused, nothing has changed"))["why"])
            program.send(signal.SIGTERM)
            assert await program.ended() == 0
            assert not any(psutil.pid_exists(pid) for pid in last.values())


async def running_processes(config: Path, other_than: int = 0) -> dict[str, int]:
    """Wait until all adapters of a program run, and return their processes by name."""

    def look() -> dict[str, int] | None:
        reports = ask_status(config).companions
        found = {each.name: each.processes[0] for each in reports if each.state == "running" and each.processes}
        return found if len(found) == 2 and other_than not in found.values() else None

    async with asyncio.timeout(DEADLINE):
        while not (found := await asyncio.to_thread(look)):
            await asyncio.sleep(0.1)
    return found


async def shows(port: int, line: str) -> None:
    """Wait until a line is among the metrics."""
    async with asyncio.timeout(DEADLINE), aiohttp.ClientSession() as session:
        text = ""
        while line not in text.splitlines():
            async with session.get(f"http://127.0.0.1:{port}/choria/prometheus") as answer:
                text = await answer.text()
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_target_that_is_away_is_waited_for(tmp_path: Path, authority: Authority) -> None:
    target, source = tmp_path / "target", tmp_path / "source"
    target.mkdir()
    source.mkdir()
    port = free_port()
    settings = adapter("nodes", queue_len=50, stream__servers=f"localhost:{port}")
    path = configuration(source, authority, plugin__choria__adapters="nodes", **settings)
    async with NetworkBroker.from_file(path) as broker:
        connection = await broker.connect()

        def waits() -> bool:
            (report,) = broker.statistics.companions
            return report.state == "waiting" and report.sides["ingest"].connected == 1

        await until(waits)
        for _ in range(80):
            await connection.publish(TOPIC, message())
        await until(lambda: counted(broker, "choria_adapter_errors", role="input") == 30)
        assert counted(broker, "choria_adapter_queue_length") == 50
        health = broker._reporter.health()
        assert "adapter nodes is not connected to its output side" in health.sentence
        there = configuration(target, authority, network__client_port=port, network__stream__store=tmp_path / "s")
        async with NetworkBroker.from_file(there) as other:
            reader = await stream(await other.connect(), "nodes")
            got: list[Any] = []
            async with asyncio.timeout(DEADLINE):
                while len(got) < 50:
                    got += await reader.fetch(50, timeout=DEADLINE)
            await until(lambda: counted(broker, "choria_adapter_published_msgs") == 50)
        await until(lambda: broker.statistics.companions[0].state == "waiting")


async def test_no_process_outlives_a_program_that_is_killed(tmp_path: Path, authority: Authority) -> None:
    log = tmp_path / "alone.log"
    settings: dict[str, Any] = {
        "logfile": log,
        "plugin__choria__broker_network": False,
        "plugin__choria__adapters": "nodes",
        "plugin__choria__middleware_hosts": f"localhost:{free_port()}",
        **adapter("nodes"),
    }
    async with started("run", "--config", configuration(tmp_path, authority, **settings), log=log) as program:
        await program.told("READY=1")
        await program.logs("Could not connect, trying again")
        (child,) = psutil.Process(program.pid).children()
        program.send(signal.SIGKILL)
        await program.ended()
        await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_a_stop_loses_nothing_that_was_taken_in(tmp_path: Path, authority: Authority) -> None:
    hub, alone = tmp_path / "hub", tmp_path / "alone"
    hub.mkdir()
    alone.mkdir()
    async with NetworkBroker.from_file(configuration(hub, authority, network__stream__store=tmp_path / "s")) as broker:
        connection = await broker.connect()
        await stream(connection, "nodes")
        path = configuration(
            alone,
            authority,
            plugin__choria__broker_network=False,
            plugin__choria__adapters="nodes",
            plugin__choria__middleware_hosts=f"localhost:{broker.ports.client}",
            **adapter("nodes", queue_len=5000),
        )
        async with NetworkBroker.from_file(path) as other:
            await runs(other)
            for _ in range(2000):
                await connection.publish(TOPIC, message())
            await connection.flush()
        counts = other._parts.companions.counts()["choria_adapter_received_msgs"]
        taken = sum(value for (_, role), value in counts.items() if role == "input")
        lost = sum(each.lost for each in other._parts.companions._records.values())
        info = await connection.jetstream().stream_info("NODES")
        assert 0 < taken <= 2000
        assert (info.state.messages, lost) == (taken, 0)


async def test_a_reload_that_changes_an_adapter_loses_nothing(tmp_path: Path, authority: Authority) -> None:
    settings: dict[str, str | Path] = {"plugin__choria__adapters": "nodes", "network__stream__store": tmp_path / "s"}
    path = configuration(tmp_path, authority, **settings, **adapter("nodes"))
    async with NetworkBroker.from_file(path) as broker:
        connection = await broker.connect()
        await stream(connection, "nodes")
        (before,) = (await runs(broker)).processes
        over = asyncio.Event()
        sent = 0

        async def flow() -> None:
            nonlocal sent
            while not over.is_set():
                await connection.publish(TOPIC, message())
                await connection.flush()
                sent += 1

        async with asyncio.timeout(2 * DEADLINE), asyncio.TaskGroup() as tasks:
            tasks.create_task(flow())
            await until(lambda: counted(broker, "choria_adapter_published_msgs") > 100)
            configuration(tmp_path, authority, **settings, **adapter("nodes", queue_len=500))
            await broker.reload()
            await until(lambda: not psutil.pid_exists(before))
            (after,) = (await runs(broker)).processes
            shared = sent
            await until(lambda: sent > shared + 100)
            over.set()
        assert after != before
        await until(lambda: counted(broker, "choria_adapter_published_msgs") == sent)
        info = await connection.jetstream().stream_info("NODES")
        assert info.state.messages == sent
