"""A real Choria fleet on the broker, certificates only."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from choria_broker.broker import NetworkBroker
from support.fleet import Fleet
from support.testbed import Authority, configuration, free_port

NODES = ("node1.example.net", "node2.example.net", "node3.example.net")
DEADLINE = 90.0


async def test_three_servers_answer_ping_and_rpc(tmp_path: Path, authority: Authority, choria: Path) -> None:
    fleet = Fleet(choria, tmp_path, authority)
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(configuration(tmp_path, authority)) as broker,
        contextlib.AsyncExitStack() as servers,
    ):
        for node in NODES:
            await servers.enter_async_context(fleet.server(broker.ports.client, node))
        client = fleet.client(broker.ports.client)
        await fleet.run_until("ping", "--config", client, wanted=("3 replies", *NODES))
        await fleet.run_until("req", "rpcutil", "ping", "--config", client, wanted=["3 / 3 hosts"])


async def test_outside_client_hosts_no_node_is_reached(tmp_path: Path, authority: Authority, choria: Path) -> None:
    fleet = Fleet(choria, tmp_path, authority)
    config = configuration(tmp_path, authority, network__client_hosts="192.0.2.1")
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(config) as broker,
        fleet.server(broker.ports.client, NODES[0]),
    ):
        ping = await fleet.run("ping", "--timeout", "2", "--config", fleet.client(broker.ports.client))
        assert NODES[0] not in ping.output


async def test_a_cluster_carries_requests_from_one_broker_to_the_other(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    ports = [free_port(), free_port()]
    peers = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    brokers = []
    for number, port in enumerate(ports, 1):
        folder = tmp_path / f"broker{number}"
        folder.mkdir()
        config = configuration(
            folder,
            authority,
            identity=f"broker{number}.example.net",
            network__peers=peers,
            network__peer_port=port,
            network__peer_user="cluster",
            network__peer_password="s3cret",
        )
        brokers.append(NetworkBroker.from_file(config))
    one, two = brokers
    fleet = Fleet(choria, tmp_path, authority)
    async with asyncio.timeout(DEADLINE), one, two, fleet.server(one.ports.client, NODES[0]):
        client = fleet.client(two.ports.client)
        await fleet.run_until("ping", "--config", client, wanted=[NODES[0]])
        await fleet.run_until("req", "rpcutil", "ping", "--config", client, wanted=["1 / 1 hosts"])
