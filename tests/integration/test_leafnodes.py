"""Leafnodes between real engines: who may join, into which account, and what crosses."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from support.leaflinks import ears, hub, meet, remote, say, spoke
from support.minting import ORGANIZATION, hex_of, mint
from support.minting import client as claims
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, client, settled
from support.topology import Node, Setting, formed, leafnodes, logged, page, peers

HQ, SITE = "hq.example.net", "site.example.net"
FLEET = "mcollective.node.node1.example.net"
"""A request to the fleet."""


@contextlib.asynccontextmanager
async def both(
    authority: Authority, at_hub: NetworkBroker, at_spoke: NetworkBroker
) -> AsyncIterator[tuple[Client, Client]]:
    """Run hub and spoke and connect a client with a certificate to each."""
    context = authority.context(authority.issue("bob.mcollective"))
    async with at_hub, at_spoke, client(at_hub, context) as here, client(at_spoke, context) as there:
        yield here, there


async def answering(connection: Client, subject: str, payload: bytes) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(payload)

    await connection.subscribe(subject, cb=answer)
    await settled(connection)


async def test_requests_cross_both_ways_and_both_sides_verify(tmp_path: Path, authority: Authority) -> None:
    hq, site = Node(HQ), Node(SITE)
    above = hub(tmp_path, authority, hq)
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode))
    async with both(authority, above, below) as (here, there):
        await meet(here, there)
        await answering(there, FLEET, b"from the site")
        await answering(here, "mcollective.node.node2.example.net", b"from headquarters")
        await meet(here, there)
        assert (await here.request(FLEET, b"ping", timeout=5)).data == b"from the site"
        assert (await there.request("mcollective.node.node2.example.net", b"ping", timeout=5)).data == (
            b"from headquarters"
        )
        (decision,) = [each for each in (await recent(above)) if each.kind == "leafnode"]
        assert (decision.rule, decision.account, decision.tls, decision.common_name) == ("mtls", "choria", "mtls", SITE)
        (link,) = (await page(site, "/leafz"))["leafs"]
        assert link["account"] == "choria"
        assert link["name"] == HQ


def without_certificate(_: Path, authority: Authority) -> dict[str, Setting]:
    return {"tls__ca": authority.ca}


def of_another_authority(folder: Path, authority: Authority) -> dict[str, Setting]:
    own = Authority(folder, "foreign").issue("mallory.example.net")
    return {"tls__ca": authority.ca, "tls__cert": own.certificate, "tls__key": own.key}


def trusting_another_authority(folder: Path, authority: Authority) -> dict[str, Setting]:
    own = authority.issue("trusting.example.net")
    return {"tls__ca": Authority(folder, "foreign").ca, "tls__cert": own.certificate, "tls__key": own.key}


@pytest.mark.parametrize(
    ("settings", "rule", "texts"),
    [
        (without_certificate, "certificate-required", ["Leafnode Error 'Authorization Violation'"]),
        # A Go program sends no certificate rather than one that the other side cannot verify.
        (of_another_authority, "certificate-required", ["Leafnode Error 'Authorization Violation'"]),
        (trusting_another_authority, "", ["TLS leafnode handshake error", "certificate signed by unknown authority"]),
    ],
)
async def test_leafnodes_without_a_certificate_of_the_ca_are_refused(
    tmp_path: Path,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    settings: Callable[[Path, Authority], dict[str, Setting]],
    rule: str,
    texts: list[str],
) -> None:
    hq, site = Node(HQ), Node(SITE)
    above = hub(tmp_path, authority, hq)
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode, **settings(tmp_path, authority)))
    async with above, below:
        await logged(caplog, *texts)
        assert [each.rule for each in (await recent(above)) if each.kind == "leafnode"][:1] == ([rule] if rule else [])
        for node in (hq, site):
            assert (await page(node, "/leafz"))["leafnodes"] == 0


async def test_the_hub_must_be_who_the_address_says(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    hq, site = Node(HQ), Node(SITE)
    other = authority.issue("other.example.net")
    above = hub(
        tmp_path,
        authority,
        hq,
        plugin__security__file__certificate=other.certificate,
        plugin__security__file__key=other.key,
    )
    below = spoke(tmp_path, authority, site, **remote("HQ", f"localhost:{hq.leafnode}"))
    async with above, below:
        await logged(
            caplog, "TLS leafnode handshake error", "certificate is valid for other.example.net, not localhost"
        )
        assert (await page(hq, "/leafz"))["leafnodes"] == 0


async def test_a_leafnode_with_a_token_or_a_foreign_certificate_is_refused(
    tmp_path: Path, authority: Authority
) -> None:
    hq = Node(HQ)
    foreign = Authority(tmp_path, "foreign").issue("mallory.example.net")
    insisting = authority.context(foreign)
    own = authority.context(authority.issue("site.example.net"))
    async with hub(tmp_path, authority, hq, network__client_signer_cert=hex_of(ORGANIZATION)) as above:
        with pytest.raises((ClosedError, OSError)):
            async with wire(hq.leafnode, insisting) as peer:
                await peer.connect()
        assert not (await recent(above))
        async with wire(hq.leafnode, own) as peer:
            with pytest.raises(ClosedError, match="Authorization Violation"):
                await peer.connect(auth_token=mint(claims()))
        assert (await recent(above))[-1].rule == "token-kind"


ISSUER: dict[str, Setting] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
}
ELSEWHERE: dict[str, Setting] = {"network__client_hosts": "192.0.2.0/24"}
SUBJECTS = frozenset(
    {FLEET, "mcollective.broadcast.agent.discovery", "mcollective.reply.x.1", "choria.lifecycle.event.alive.x", "probe"}
)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (ISSUER, "mtls-token-required"),
        (ELSEWHERE | {"network__deny_server_connections": True}, "leafnode-denied"),
    ],
)
async def test_hubs_that_take_no_leafnodes(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, settings: dict[str, Setting], rule: str
) -> None:
    hq, site = Node(HQ), Node(SITE)
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode))
    async with hub(tmp_path, authority, hq, **settings) as above, below:
        await logged(caplog, "Leafnode Error 'Authorization Violation'")
        assert (await recent(above))[0].rule == rule
        assert (await page(hq, "/leafz"))["leafnodes"] == 0


@pytest.mark.parametrize(
    ("settings", "rule", "up", "down"),
    [
        ({}, "mtls", SUBJECTS, SUBJECTS),
        ({"network__client_hosts": "127.0.0.0/8"}, "mtls", SUBJECTS, SUBJECTS),
        (
            ELSEWHERE,
            "mtls-outside-client-hosts",
            {"mcollective.reply.x.1", "choria.lifecycle.event.alive.x", "probe"},
            {FLEET, "mcollective.broadcast.agent.discovery", "probe"},
        ),
        (
            ISSUER,
            "mtls-pubsub-only",
            {"probe"},
            {"probe"},
        ),
    ],
)
async def test_what_leafnodes_carry(
    tmp_path: Path, authority: Authority, settings: dict[str, Setting], rule: str, up: set[str], down: set[str]
) -> None:
    hq, site = Node(HQ), Node(SITE)
    if rule == "mtls-pubsub-only":
        settings = settings | {"plugin__security__choria__ca": authority.ca}
    above = hub(tmp_path, authority, hq, **settings)
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode))
    async with both(authority, above, below) as (_, there):
        here = await above.connect()
        assert [each.rule for each in (await recent(above)) if each.kind == "leafnode"] == [rule]
        await meet(here, there)
        at_hub, at_site = await ears(here, *SUBJECTS), await ears(there, *SUBJECTS)
        await meet(here, there)
        await say(there, "up", *SUBJECTS)
        await say(here, "down", *SUBJECTS)
        await meet(here, there)
        assert await at_hub.of("up") == up
        assert await at_site.of("down") == down
        assert (await page(site, "/leafz"))["leafnodes"] == 1
        await here.close()


async def test_a_wildcard_at_the_hub_keeps_replies_of_limited_leafnodes_away(
    tmp_path: Path, authority: Authority
) -> None:
    """The engine's library then takes what the leafnode may not hear for what it may not say; the manual says so."""
    hq, site = Node(HQ), Node(SITE)
    above = hub(tmp_path, authority, hq, **ELSEWHERE)
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode))
    async with both(authority, above, below) as (_, there):
        here = await above.connect()
        replies = await ears(here, "mcollective.reply.x.1")
        await meet(here, there)
        await say(there, "before", "mcollective.reply.x.1")
        await meet(here, there)
        await ears(here, "choria.lifecycle.>")
        await meet(here, there)
        await say(there, "after", "mcollective.reply.x.1")
        await meet(here, there)
        assert await replies.of("before")
        assert not await replies.of("after")
        await here.close()


@pytest.mark.parametrize("names", [("EAST", "WEST"), ("SITE", "SITE")])
async def test_sites_need_names_of_their_own_to_reach_each_other(
    tmp_path: Path, authority: Authority, names: tuple[str, str]
) -> None:
    hq, east, west = Node(HQ), Node("east.example.net"), Node("west.example.net")
    context = authority.context(authority.issue("bob.mcollective"))
    async with contextlib.AsyncExitStack() as stack:
        above = await stack.enter_async_context(hub(tmp_path, authority, hq))
        here = await stack.enter_async_context(client(above, context))
        there = []
        for node, name in zip((east, west), names, strict=True):
            site = spoke(tmp_path, authority, node, **remote("HQ", hq.leafnode), network__gateway_name=name)
            await stack.enter_async_context(site)
            there.append(await stack.enter_async_context(client(site, context)))
            await meet(here, there[-1])
        heard = await ears(there[1], FLEET)
        await meet(here, there[1])
        await meet(here, there[0])
        await say(there[0], "from the east", FLEET)
        await meet(here, there[0])
        await meet(here, there[1])
        assert await heard.of("from the east") == ({FLEET} if names[0] != names[1] else set())


async def test_two_brokers_of_one_cluster_name_do_not_link(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    hq, site = Node(HQ), Node(SITE)
    above = hub(tmp_path, authority, hq, network__gateway_name="CHORIA")
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode), network__gateway_name="CHORIA")
    async with above, below:
        await logged(caplog, "Leafnode connection dropped with same cluster name error")
        await leafnodes(hq, 0)


@pytest.mark.slow
async def test_a_leafnode_moves_to_another_member_of_the_hubs_cluster(tmp_path: Path, authority: Authority) -> None:
    """It was told of one address only, and learned the other from the hub, whose certificate has the name it knows."""
    one, two, site = Node("hq1.example.net"), Node("hq2.example.net"), Node(SITE)
    first, second = (hub(tmp_path, authority, node, **peers(one, two)) for node in (one, two))
    context = authority.context(authority.issue("bob.mcollective"))
    below = spoke(tmp_path, authority, site, **remote("HQ", f"localhost:{one.leafnode}"))
    async with second, below, client(second, context) as here, client(below, context) as there:
        async with first:
            await formed(one, two)
            await leafnodes(one, 1)
            await meet(here, there)
        await leafnodes(two, 1)
        await meet(here, there)
