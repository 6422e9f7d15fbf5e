"""Clusters and gateways of brokers with one operator: accounts reach across, and reloads leave the links alone."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from choria_broker.broker import NetworkBroker
from support.leaflinks import ears, meet, say
from support.stores import STREAMS, Store
from support.streaming import stores
from support.testbed import Authority, client
from support.topology import Node, broker, formed, gateways, joined, nodes, page, peers, running

DEADLINE = 60.0
OPERATED: dict[str, Any] = {"network__operator_account": "OPS"}


def spread(store: Store, tmp_path: Path, members: tuple[Node, ...]) -> None:
    """Give every member the store as it is now."""
    for node in members:
        target = tmp_path / node.identity / "accounts"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(store.directory.parents[1], target)


def made(
    store: Store, tmp_path: Path, authority: Authority, members: tuple[Node, ...], settings: list[dict[str, Any]]
) -> list[NetworkBroker]:
    spread(store, tmp_path, members)
    return [
        broker(tmp_path, authority, node, **(OPERATED | more)) for node, more in zip(members, settings, strict=True)
    ]


async def routes(members: tuple[Node, ...]) -> list[object]:
    """Return what tells one connection between members from another."""
    return [[(each["rid"], each["start"]) for each in (await page(node, "/routez"))["routes"]] for node in members]


async def outgoing(node: Node) -> dict[str, object]:
    """Return what tells one connection to another cluster from another."""
    found = (await page(node, "/gatewayz"))["outbound_gateways"]
    return {name: gateway["connection"]["cid"] for name, gateway in found.items()}


async def test_a_cluster_stays_together_while_its_members_reload(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2)
    store = Store(tmp_path / "store", "OPS", "ACME", "GLOBEX")
    one, two = made(store, tmp_path, authority, members, [peers(*members)] * 2)
    context = authority.context()
    async with (
        running([one, two]),
        client(one, context, **store.login("ACME")) as here,
        client(two, context, **store.login("ACME")) as there,
        client(two, context, **store.login("GLOBEX")) as other,
    ):
        await formed(*members)
        await meet(here, there)
        before = await routes(members)
        store.account("NEW")
        store.account("ACME", limits={"conn": 50, "subs": -1, "data": -1, "payload": -1, "leaf": -1})
        spread(store, tmp_path, members)
        for member in (one, two):
            await member.reload()
        await meet(here, there)
        assert await routes(members) == before
        heard, unheard = await ears(there, "orders.>"), await ears(other, "orders.>")
        await meet(here, there)
        await say(here, "across", "orders.1")
        await meet(here, there)
        assert (await heard.of("across"), await unheard.of("across")) == ({"orders.1"}, set())
        async with client(one, context, **store.login("NEW")) as new, client(two, context, **store.login("NEW")) as far:
            await meet(new, far)


@pytest.mark.slow
async def test_streams_of_a_cluster_outlive_a_reload(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2)
    store = Store(tmp_path / "store", "OPS", "ACME")
    store.account("FLEET", limits=STREAMS)
    settings = [peers(*members) | {"network__stream__store": tmp_path / node.identity / "streams"} for node in members]
    one, two = made(store, tmp_path, authority, members, settings)
    async with (
        asyncio.timeout(DEADLINE),
        running([one, two]),
        client(one, authority.context(), **store.login("FLEET")) as fleet,
    ):
        streams = fleet.jetstream()
        made_at_last = None
        while made_at_last is None:
            with contextlib.suppress(nats.errors.Error):  # The cluster elects its leader first.
                made_at_last = await streams.add_stream(name="ORDERS", subjects=["orders.>"], num_replicas=2)
        await stores(fleet, "orders.1")
        store.account("FLEET", limits=STREAMS | {"streams": 1})
        spread(store, tmp_path, members)
        for member in (one, two):
            await member.reload()
        acknowledged = await streams.publish("orders.2", b"after")
        assert (acknowledged.stream, acknowledged.seq) == ("ORDERS", 2)
        assert (await streams.account_info()).limits.max_streams == 1
        with pytest.raises(nats.errors.Error, match="maximum number of streams reached"):
            await streams.add_stream(name="MORE", subjects=["more.>"], num_replicas=2)


async def test_gateways_stay_while_brokers_reload(tmp_path: Path, authority: Authority) -> None:
    west, east = Node("west.example.net"), Node("east.example.net")
    store = Store(tmp_path / "store", "OPS", "ACME")
    settings = [gateways(west, "WEST", EAST=[east]), gateways(east, "EAST", WEST=[west])]
    one, two = made(store, tmp_path, authority, (west, east), settings)
    context = authority.context()
    async with (
        running([one, two]),
        client(one, context, **store.login("ACME")) as here,
        client(two, context, **store.login("ACME")) as there,
    ):
        await joined(west, "EAST")
        await joined(east, "WEST")
        await meet(here, there)
        before = [await outgoing(node) for node in (west, east)]
        store.account("NEW")
        spread(store, tmp_path, (west, east))
        for member in (one, two):
            await member.reload()
        await meet(here, there)
        assert [await outgoing(node) for node in (west, east)] == before
