"""An edge broker takes clients that present nothing and carries them into one account of a secured network."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from support.command import started
from support.leaflinks import ears, hub, meet, remote, say, spoke
from support.minting import ORGANIZATION, STRANGER, hex_of, mint
from support.minting import client as claims
from support.nats_server import OperatorHub
from support.nats_socket import ClosedError, Wire, wire
from support.settled import recent
from support.testbed import Authority, client, settled
from support.topology import Node, Setting, configure

HQ, EDGE = "hq.example.net", "edge.example.net"
SUBJECTS = ("probe", "mcollective.node.node1.example.net", "mcollective.reply.x.1")
UNVERIFIED: dict[str, Setting] = {
    "network__gateway_name": "EDGE",
    "network__accounts": "EDGE",
    "network__unverified_account": "EDGE",
    "network__client_signer_cert": hex_of(ORGANIZATION),
}


def edge(folder: Path, authority: Authority, node: Node, port: int, **more: Setting) -> NetworkBroker:
    """Make the edge broker; its remote, given by a port, is bound to the account of the unverified."""
    return spoke(folder, authority, node, **(UNVERIFIED | remote("HQ", port, account="EDGE", **more)))


@contextlib.asynccontextmanager
async def bare(broker: NetworkBroker, context: ssl.SSLContext | None) -> AsyncIterator[Wire]:
    """Connect a client that presents nothing."""
    async with wire(broker.ports.client, context) as peer:
        await peer.connect()
        yield peer


async def carried_for(secured: Client, outsiders: list[Client], broker: NetworkBroker, context: ssl.SSLContext) -> None:
    """Hold that unverified clients meet a client of the secured network, and neither the edge's fleet nor others."""
    inside = await broker.connect()
    try:
        async with client(broker, None) as guide, bare(broker, context) as hidden, bare(broker, None) as clear:
            assert [(each.account, each.tls) for each in list(await recent(broker))[-3:]] == [
                ("EDGE", "none"),
                ("EDGE", "anon"),
                ("EDGE", "none"),
            ]
            await meet(secured, guide)
            up = await ears(secured, *SUBJECTS)
            others = [await ears(each) for each in (inside, *outsiders)]
            for peer in (hidden, clear):
                assert not await peer.subscribe(SUBJECTS)
            await meet(secured, guide)
            for peer, name in ((hidden, "over TLS"), (clear, "in clear text")):
                assert not await peer.publish(SUBJECTS, name)
            await say(secured, "down", *SUBJECTS)
            await say(inside, "of the edge's fleet", *SUBJECTS)
            await meet(secured, guide)
            for name in ("over TLS", "in clear text"):
                assert await up.of(name) == set(SUBJECTS)
            assert not await up.of("of the edge's fleet")
            for peer in (hidden, clear):
                await peer.flush()
                assert peer.received("down") == set(SUBJECTS)
                assert not peer.received("of the edge's fleet")
            for each in others:
                assert not any([await each.of(text) for text in ("over TLS", "in clear text", "down")])
    finally:
        await inside.close()


async def test_credentials_carry_them_into_one_account_of_an_operators_network(
    tmp_path: Path, authority: Authority
) -> None:
    above, node = OperatorHub(tmp_path, authority), Node(EDGE)
    path = above.operator.user("OPS").credentials(tmp_path / "ops.creds")
    async with (
        above.running(),
        edge(tmp_path, authority, node, above.listener, credentials=path) as broker,
        above.client("OPS") as insider,
        above.client("LAB") as outsider,
    ):
        await carried_for(insider, [outsider], broker, authority.context())


async def test_a_certificate_carries_them_to_the_fleet_of_a_broker(tmp_path: Path, authority: Authority) -> None:
    hq, node = Node(HQ), Node(EDGE)
    above = hub(tmp_path, authority, hq)
    context = authority.context(authority.issue("bob.mcollective"))
    async with above, edge(tmp_path, authority, node, hq.leafnode) as broker, client(above, context) as bob:
        await carried_for(bob, [], broker, authority.context())


async def test_their_requests_are_answered_by_the_secured_network(tmp_path: Path, authority: Authority) -> None:
    hq, node = Node(HQ), Node(EDGE)
    context = authority.context(authority.issue("node1.example.net"))

    async def answer(message: Msg) -> None:
        await message.respond(b"pong")

    async with (
        hub(tmp_path, authority, hq) as above,
        edge(tmp_path, authority, node, hq.leafnode) as broker,
        client(above, context) as server,
        client(broker, None) as asking,
    ):
        await server.subscribe("mcollective.node.node1.example.net", cb=answer)
        await settled(server)
        await meet(server, asking)
        reply = await asking.request("mcollective.node.node1.example.net", b"ping", timeout=5)
        assert reply.data == b"pong"


async def test_the_secured_network_may_keep_them_from_the_fleet(tmp_path: Path, authority: Authority) -> None:
    """With client_hosts the leafnode counts as a server: it carries no requests to the fleet."""
    hq, node = Node(HQ), Node(EDGE)
    async with (
        hub(tmp_path, authority, hq, network__client_hosts="192.0.2.0/24") as above,
        edge(tmp_path, authority, node, hq.leafnode) as broker,
        client(broker, None) as asking,
    ):
        inside = await above.connect()
        hears = await ears(inside, *SUBJECTS)
        await meet(inside, asking)
        await say(asking, "up", *SUBJECTS)
        await meet(inside, asking)
        assert await hears.of("up") == {"probe", "mcollective.reply.x.1"}
        await inside.close()


async def test_who_presents_something_bad_is_refused_at_the_edge(tmp_path: Path, authority: Authority) -> None:
    hq, node = Node(HQ), Node(EDGE)
    foreign = Authority(tmp_path, "foreign").issue("mallory.mcollective")

    async def refused(context: ssl.SSLContext | None, **fields: str) -> str:
        async with wire(broker.ports.client, context) as peer:
            with pytest.raises(ClosedError):
                await peer.connect(**fields)
        return (await recent(broker))[-1].rule

    async with hub(tmp_path, authority, hq), edge(tmp_path, authority, node, hq.leafnode) as broker:
        assert await refused(authority.context(), auth_token="nonsense") == "token-malformed"
        assert await refused(authority.context(), auth_token=mint(claims(), STRANGER)) == "token-signature"
        assert await refused(authority.context(), user="bob") == "certificate-required"
        assert await refused(None, auth_token=mint(claims())) == "tls-required"
        decided = len(await recent(broker))
        with pytest.raises((ClosedError, OSError)):
            async with bare(broker, authority.context(foreign)):
                pass
        assert len(await recent(broker)) == decided


async def test_the_program_says_that_it_lets_them_in(tmp_path: Path, authority: Authority) -> None:
    hq, node = Node(HQ), Node(EDGE)
    log = tmp_path / "edge.log"
    settings = UNVERIFIED | remote("HQ", hq.leafnode, account="EDGE") | {"network__leafnode_remotes": "HQ"}
    path = configure(tmp_path, authority, node, logfile=log, **settings)
    async with hub(tmp_path, authority, hq), started("run", "--config", path, log=log) as program:
        await program.told("READY=1")
        line = await program.logs("Allowing clients without certificate and token into account EDGE")
        assert line["level"] == "warning"
        async with wire(node.client) as peer:
            await peer.connect()
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "choria-broker", "status", "--config", path, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert "Unverified clients: accepted into account EDGE" in output.decode()
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{node.statistics}/choria/prometheus") as answer,
        ):
            metrics = await answer.text()
        (shown,) = [line for line in metrics.splitlines() if line.startswith("choria_broker_unverified_account{")]
        assert EDGE in shown
        assert float(shown.split()[-1]) == 1
        assert 'rule="unverified"' in metrics
