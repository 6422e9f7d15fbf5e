"""Adapters beside the network broker, and without one: what comes in arrives in a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.companions.reports import CompanionReport
from support.registrations import BODY, DOCUMENT, REQUEST, message
from support.testbed import Authority, configuration

DEADLINE = 60.0
TOPIC = "mcollective.broadcast.agent.registration"


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
            await connection.publish(TOPIC, b'{"protocol":"choria:transport:1","data":"","headers":null}')
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
