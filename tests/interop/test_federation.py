"""Real Choria clients and servers on two networks, and federation brokers between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.background import beside
from choria_broker.broker import NetworkBroker
from support.federating import CLUSTER, Joining, Networks, connected, joined
from support.fleet import Fleet
from support.testbed import Authority, settled
from support.transports import message

DEADLINE = 200.0
_IN_A_ROW = 200
NODES = ("node1.example.net", "node2.example.net")


@contextlib.asynccontextmanager
async def fleet_on(networks: Networks, choria: Path) -> AsyncIterator[Fleet]:
    """Run servers on the collective's network."""
    fleet = Fleet(choria, networks.folder, networks.authority)
    async with contextlib.AsyncExitStack() as servers:
        for node in NODES:
            await servers.enter_async_context(fleet.server(networks.collective, node))
        yield fleet


async def reached(fleet: Fleet, client: Path) -> None:
    """Wait until all nodes answer."""
    await fleet.run_until("ping", "--config", client, wanted=(f"{len(NODES)} replies", *NODES))
    wanted = f"{len(NODES)} / {len(NODES)} hosts"
    await fleet.run_until("req", "rpcutil", "ping", "--config", client, wanted=[wanted])


async def works(fleet: Fleet, client: Path, *brokers: Joining) -> None:
    """Send requests until each of the federation brokers has a part of the work."""
    async with asyncio.timeout(DEADLINE):
        while not all([await broker.published() for broker in brokers]):
            await reached(fleet, client)


class Flow:
    """Requests without end, of which a test looks at the arrivals.

    Attributes:
        sent: how many.
        arrived: their numbers.
    """

    def __init__(self, clients: Client, servers: Client) -> None:
        self._clients, self._servers = clients, servers
        self.sent = 0
        self.arrived: set[int] = set()

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Send them as long as the context lasts."""

        async def heard(message: Msg) -> None:
            self.arrived.add(int(message.subject.rpartition(".")[2]))

        await self._servers.subscribe("a.node.*", cb=heard)
        await settled(self._servers)
        async with beside(self._send(), "requests"):
            yield

    async def _send(self) -> None:
        while True:
            headers = {"reply-to": "a.reply", "federation": {"req": "1", "target": [f"a.node.{self.sent}"]}}
            await self._clients.publish(f"choria.federation.{CLUSTER}.federation", message(headers))
            self.sent += 1
            await asyncio.sleep(0.002)

    async def goes_on(self) -> None:
        """Wait until all of so many requests in a row arrive."""
        while True:
            last = self.sent + _IN_A_ROW
            wanted = set(range(self.sent, last))
            while self.sent < last + _IN_A_ROW:
                await asyncio.sleep(0.01)
                if wanted <= self.arrived:
                    return


@pytest.mark.timeout(240)
async def test_a_federated_client_reaches_servers_and_each_network_may_restart(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    networks = Networks(tmp_path, authority)
    client = networks.client()
    beside: dict[str, str | int | bool | Path] = {
        "plugin__choria__broker_federation": True,
        "plugin__choria__federation__cluster": CLUSTER,
        "plugin__choria__federation_middleware_hosts": f"localhost:{networks.federation}",
    }
    async with asyncio.timeout(DEADLINE), contextlib.AsyncExitStack() as running:
        collective = contextlib.AsyncExitStack()
        await running.enter_async_context(collective)
        await collective.enter_async_context(NetworkBroker.from_file(networks.broker("collective", **beside)))
        fleet = await running.enter_async_context(fleet_on(networks, choria))
        for _ in range(2):
            async with NetworkBroker.from_file(networks.broker("federation")):
                await reached(fleet, client)
        async with NetworkBroker.from_file(networks.broker("federation")):
            await collective.aclose()
            await collective.enter_async_context(NetworkBroker.from_file(networks.broker("collective", **beside)))
            await reached(fleet, client)


@pytest.mark.timeout(240)
async def test_the_work_is_shared_with_go_choria_and_goes_on_when_either_is_killed(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    networks = Networks(tmp_path, authority)
    client = networks.client()
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(networks.broker("federation")) as federation,
        NetworkBroker.from_file(networks.broker("collective")) as collective,
        fleet_on(networks, choria) as fleet,
        joined(networks, "ours") as ours,
        connected(federation, collective) as (clients, servers),
    ):
        flow = Flow(clients, servers)
        async with joined(networks, "theirs", choria) as theirs:
            await works(fleet, client, ours, theirs)
            async with flow.flowing():
                await flow.goes_on()
                await theirs.killed()
                await flow.goes_on()
                async with joined(networks, "theirs-again", choria) as again:
                    await works(fleet, client, again)
                    await ours.killed()
                    await flow.goes_on()
                    await reached(fleet, client)
