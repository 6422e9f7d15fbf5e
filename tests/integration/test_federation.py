"""The federation broker with real networks: what it counts, refuses, survives and leaves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from choria_broker.broker import NetworkBroker
from choria_broker.companions.reports import CompanionReport
from support.federating import CLUSTER, Networks, connected, metrics, passes
from support.pages import ROOT
from support.testbed import Authority, free_port, settled
from support.transports import message

DEADLINE = 60.0
REQUESTS = f"choria.federation.{CLUSTER}.federation"
SAMPLE = (ROOT / "tests/golden/samples/prometheus-hub-all-features.txt").read_text(encoding="utf-8")


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.02)


def report(broker: NetworkBroker) -> CompanionReport | None:
    """How its federation broker is."""
    return next(iter(broker.statistics.companions), None)


async def runs(broker: NetworkBroker) -> None:
    """Wait until its federation broker is connected everywhere."""
    await until(lambda: (found := report(broker)) is not None and found.state == "running")


def counted(broker: NetworkBroker, family: str) -> float:
    """Add up a metric."""
    return sum(
        sample.value for metric in broker.registry.collect() for sample in metric.samples if sample.name == family
    )


def beside(networks: Networks, **settings: str | int) -> Path:
    """Write the configuration of the collective's broker with a federation broker beside it."""
    own: dict[str, str | int] = {
        "plugin__choria__broker_federation": "true",
        "plugin__choria__federation__cluster": CLUSTER,
        "plugin__choria__federation_middleware_hosts": f"localhost:{networks.federation}",
    }
    return networks.broker("collective", **(own | settings))


def request(*targets: str) -> bytes:
    return message({"reply-to": "a.reply", "federation": {"req": "1", "target": list(targets)}})


async def test_bad_messages_are_one_error_each_and_the_next_one_passes(tmp_path: Path, authority: Authority) -> None:
    networks = Networks(tmp_path, authority)
    bad = (
        b"",
        b"garbage",
        b'{"protocol":"choria:transport:1","data":"","headers":null}',
        b'{"protocol":"io.choria.protocol.v2.transport","data":"","headers":null}',
        message({"reply-to": "a"}),
        message({"reply-to": "a", "federation": {}}),
        request("$JS.API.INFO"),
        request("a\r\nPUB b.c 0\r\n\r\n"),
        request(REQUESTS),
        message({"reply-to": "a", "federation": {"target": ["a.b"]}}, data="%"),
    )
    async with (
        NetworkBroker.from_file(networks.broker("federation")) as federation,
        NetworkBroker.from_file(beside(networks)) as collective,
        connected(federation, collective) as (clients, servers),
    ):
        await runs(collective)
        arrived = await servers.subscribe("a.>")
        await settled(servers)
        for each in bad:
            await clients.publish(REQUESTS, each, reply="\u00e9.reply")
            await clients.publish(REQUESTS, request("a.good"))
        subjects = [(await arrived.next_msg(timeout=DEADLINE)).subject for _ in bad]
        assert subjects == ["a.good"] * len(bad)
        await until(lambda: counted(collective, "choria_federation_published_msgs") == len(bad))
        assert counted(collective, "choria_federation_errors") == len(bad)
        found = report(collective)
        assert found is not None
        assert (found.restarts, found.state) == (0, "running")


async def test_metrics_are_those_of_the_original(tmp_path: Path, authority: Authority) -> None:
    networks, port = Networks(tmp_path, authority), free_port()
    path = beside(networks, identity="broker1.example.net", plugin__choria__stats_port=port)
    series = re.compile(r"(?m)^choria_federation_\w+\{.*\}")
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(networks.broker("federation")),
        NetworkBroker.from_file(path) as collective,
    ):
        await runs(collective)
        while len(found := series.findall(await metrics(port))) < len(series.findall(SAMPLE)):
            await asyncio.sleep(0.1)
        assert set(found) == set(series.findall(SAMPLE))


async def test_a_reload_changes_the_cluster_and_leaves_the_network_alone(tmp_path: Path, authority: Authority) -> None:
    networks = Networks(tmp_path, authority)
    async with (
        asyncio.timeout(2 * DEADLINE),
        NetworkBroker.from_file(networks.broker("federation")) as federation,
        NetworkBroker.from_file(path := beside(networks)) as collective,
        connected(federation, collective) as (clients, servers),
    ):
        await passes(clients, servers)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"cluster = {CLUSTER}", "cluster = paris"), encoding="utf-8")
        await collective.reload()
        await passes(clients, servers, "paris")
        assert [each.name for each in collective.statistics.companions] == ["paris"]
        assert servers.is_connected
        assert servers.stats["reconnects"] == 0


async def test_what_the_other_network_does_not_permit_is_told(tmp_path: Path, authority: Authority) -> None:
    networks = Networks(tmp_path, authority)
    outside = networks.broker("federation", network__client_hosts="192.0.2.1")
    async with NetworkBroker.from_file(outside), NetworkBroker.from_file(beside(networks)) as collective:
        await until(lambda: (found := report(collective)) is not None and REQUESTS in found.sentence)
        found = report(collective)
        assert found is not None
        assert found.state == "waiting"
        assert "federation side" in found.sentence


async def test_a_stop_loses_nothing_that_was_taken_in(tmp_path: Path, authority: Authority) -> None:
    networks = Networks(tmp_path, authority)
    count = 2000
    async with (
        NetworkBroker.from_file(networks.broker("federation")) as federation,
        NetworkBroker.from_file(networks.broker("collective")) as collective,
        connected(federation, collective) as (clients, servers),
    ):
        arrived = await servers.subscribe("a.node.*")
        await settled(servers)
        async with NetworkBroker.from_file(networks.joining("alone")) as alone:
            await runs(alone)
            for _ in range(count):
                await clients.publish(REQUESTS, request("a.node.web1"))
            await settled(clients)
        for _ in range(count):
            await arrived.next_msg(timeout=DEADLINE)
