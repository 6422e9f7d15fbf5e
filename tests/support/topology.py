"""Several brokers of one CA on loopback, and waiting until they are linked.

A ``Node`` has its ports before anything runs, so that others can be told of it. ``peers`` and ``gateways`` give the
settings that link nodes, ``configure`` writes a node's configuration, ``broker`` makes the broker of it::

    one, two = Node("broker1.example.net"), Node("broker2.example.net")
    first = broker(tmp_path, authority, one, **peers(one, two))
    second = broker(tmp_path, authority, two, **peers(one, two))
    async with first, second:
        await linked(one, "broker2.example.net")
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.stats.link_troubles import CAUSES
from support.testbed import Authority, OrderedClient, configuration, free_port, ignore_error

DEADLINE = 60.0
"""Seconds that brokers have to find each other."""

Setting = str | int | bool | Path


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A broker to be, and the ports it will have; a listener opens only when the settings call for it.

    Attributes:
        identity: its identity, unique in its network.
        host: the name or address that others are told; all brokers listen on 127.0.0.1.
        names: what its certificate names beside the identity.
        client, peer, gateway, leafnode, statistics: ports.
    """

    identity: str
    host: str = "localhost"
    names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    client: int = dataclasses.field(default_factory=free_port)
    peer: int = dataclasses.field(default_factory=free_port)
    gateway: int = dataclasses.field(default_factory=free_port)
    leafnode: int = dataclasses.field(default_factory=free_port)
    statistics: int = dataclasses.field(default_factory=free_port)


def nodes(count: int, host: str = "localhost", site: str = "example.net") -> tuple[Node, ...]:
    """Make nodes ``broker1.example.net`` and so on."""
    return tuple(Node(f"broker{number}.{site}", host) for number in range(1, count + 1))


def peers(*members: Node) -> dict[str, Setting]:
    """Return the settings of a member of a cluster, but for its own port, which ``configure`` adds."""
    return {"network__peers": ", ".join(f"{member.host}:{member.peer}" for member in members)}


def gateways(node: Node, name: str, **remotes: Sequence[Node]) -> dict[str, Setting]:
    """Return the settings that join a node of cluster ``name`` with other clusters, given by their names."""
    settings: dict[str, Setting] = {
        "network__gateway_name": name,
        "network__gateway_port": node.gateway,
        "network__gateway_remotes": ", ".join(remotes),
    }
    for remote, members in remotes.items():
        urls = ", ".join(f"{member.host}:{member.gateway}" for member in members)
        settings[f"network__gateway_remote__{remote}__urls"] = urls
    return settings


def every_listener(node: Node, websocket: int) -> dict[str, Setting]:
    """Return the settings of a broker that has every listener, and links to nobody who is there."""
    return {
        **gateways(node, "HERE", FAR=[Node("far.example.net")]),
        **peers(node, Node("other.example.net")),
        "network__leafnode_port": node.leafnode,
        "network__websocket_port": websocket,
    }


def configure(folder: Path, authority: Authority, node: Node, **settings: Setting) -> Path:
    """Write the configuration of a node into a folder of its own, with a certificate of its own.

    Args:
        folder: where that folder is made.
        authority: issues the certificate.
        node: identity, names and ports.
        settings: further ones, as ``testbed.configuration`` takes them; they win.
    """
    place = folder / node.identity
    place.mkdir(exist_ok=True)
    own = authority.issue(node.identity, *node.names)
    usual: dict[str, Setting] = {
        "identity": node.identity,
        "network__client_port": node.client,
        "plugin__choria__stats_port": node.statistics,
        "plugin__security__file__certificate": own.certificate,
        "plugin__security__file__key": own.key,
    }
    if "network__peers" in settings:
        usual["network__peer_port"] = node.peer
    return configuration(place, authority, **(usual | settings))


def broker(folder: Path, authority: Authority, node: Node, **settings: Setting) -> NetworkBroker:
    """Make the broker of a node; arguments as for ``configure``."""
    return NetworkBroker.from_file(configure(folder, authority, node, **settings))


@contextlib.asynccontextmanager
async def running(brokers: Sequence[NetworkBroker]) -> AsyncIterator[None]:
    """Run any number of brokers."""
    async with contextlib.AsyncExitStack() as stack:
        for each in brokers:
            await stack.enter_async_context(each)
        yield


@contextlib.asynccontextmanager
async def client_of(node: Node, context: ssl.SSLContext, **options: Any) -> AsyncIterator[Client]:
    """Connect a NATS client to a node that runs in any process, with one attempt only; it closes in any case."""
    usual: dict[str, Any] = {"connect_timeout": 20, "allow_reconnect": False, "error_cb": ignore_error}
    connection = OrderedClient()
    try:
        await connection.connect(f"tls://127.0.0.1:{node.client}", tls=context, **(usual | options))
        yield connection
    finally:
        await let_go(connection)


async def page(node: Node, path: str) -> Any:
    """Read a page of a running node's engine, such as ``/routez``, from its statistics port."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session,
        session.get(f"http://127.0.0.1:{node.statistics}{path}") as answer,
    ):
        answer.raise_for_status()
        return await answer.json(content_type=None)


async def shows(node: Node, path: str, wanted: Callable[[Any], bool]) -> Any:
    """Wait until a page of a node's engine shows what is wanted, and return the page."""
    last: Any = None
    try:
        async with asyncio.timeout(DEADLINE):
            while not (last is not None and wanted(last)):
                with contextlib.suppress(aiohttp.ClientError):  # It may be about to start.
                    last = await page(node, path)
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{path} of {node.identity} does not become what is wanted: {last}") from None
    return last


def routes(routez: Any) -> set[str]:
    """Return the identities a ``/routez`` page names."""
    return {str(route["remote_name"]) for route in routez.get("routes") or ()}


async def linked(node: Node, *others: str | Node) -> None:
    """Wait until a node has routes to just these others, given as nodes or by their identities."""
    wanted = {other.identity if isinstance(other, Node) else other for other in others}
    await shows(node, "/routez", lambda routez: routes(routez) == wanted)


async def formed(*members: Node) -> None:
    """Wait until every member has routes to all the others."""
    for member in members:
        await linked(member, *(other for other in members if other != member))


async def joined(node: Node, *clusters: str) -> None:
    """Wait until a node has its outgoing gateway connections to just these clusters.

    Every member makes one connection to each other cluster, to any of its members: wait for both sides.
    """
    await shows(node, "/gatewayz", lambda gatewayz: set(gatewayz.get("outbound_gateways") or ()) == set(clusters))


async def leafnodes(node: Node, count: int) -> None:
    """Wait until a node has so many connections of leafnodes, incoming and outgoing together."""
    await shows(node, "/leafz", lambda leafz: leafz.get("leafnodes") == count)


async def blamed(one: NetworkBroker, port: int, cause: str) -> None:
    """Wait until a broker says of another, which has a port, that it is not connected, and why."""
    place, links = f"localhost:{port}", [("", "")]
    try:
        async with asyncio.timeout(DEADLINE):
            while (place, cause) not in links:
                one.statistics.poller.soon()
                await asyncio.sleep(0.1)
                down = [each for each in one.statistics.links if each.connected is False]
                links = [(place, each.cause) for each in down for place in each.places]
    except TimeoutError:
        raise AssertionError(f"{place} is not blamed for {cause}: {links}") from None
    assert any(each.endswith(f": {CAUSES[cause]}") for each in one._reporter.health().reasons)


async def answered(caller: Client, server: Client) -> bytes:
    """Have one client answer a request of another, once messages cross both ways, and return the answer."""

    async def answer(message: Msg) -> None:
        await message.respond(b"pong")

    await server.subscribe("mcollective.node.node1", cb=answer)
    await carried(caller, server)
    await carried(server, caller)
    reply = await caller.request("mcollective.node.node1", b"ping", timeout=5)
    return reply.data


async def carried(sender: Client, receiver: Client, subject: str = "mcollective.topology") -> None:
    """Wait until what one client says on a subject reaches another, on whatever broker it is.

    Links tell each other of subscriptions a moment after they are made, so the first messages may have nowhere to go.
    """
    subscription = await receiver.subscribe(subject)
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                await sender.publish(subject, b"across")
                with contextlib.suppress(TimeoutError):
                    assert (await subscription.next_msg(timeout=0.1)).data == b"across"
                    return
    finally:
        with contextlib.suppress(Exception):
            await subscription.unsubscribe()


async def logged(caplog: pytest.LogCaptureFixture, *texts: str) -> str:
    """Wait until a line that a broker or its engine logs, at INFO or above, has all these texts, and return it."""
    lines: list[str] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
                for line in lines:
                    if all(text in line for text in texts):
                        return line
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"nobody logs {texts}: {lines[-30:]}") from None
