"""Leafnodes between this broker and go-choria's, and a real fleet on either side of the link."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from support.fleet import Fleet
from support.leaflinks import hub, meet, remote, spoke
from support.old_broker import answers_cross, old_broker
from support.settled import recent
from support.testbed import Authority
from support.topology import Node, Setting, client_of

HQ, SITE = "hq.example.net", "site.example.net"
DEADLINE = 90.0
STREAM = StreamConfig(name="T", subjects=["t.>"])


def listening(node: Node) -> dict[str, Setting]:
    """Return the settings of a hub of go-choria."""
    return {"network__gateway_name": "HQ", "network__leafnode_port": node.leafnode}


@pytest.mark.timeout(240)
async def test_a_spoke_of_ours_at_a_hub_of_go_choria(tmp_path: Path, authority: Authority, choria: Path) -> None:
    hq, site = Node(HQ), Node(SITE)
    context = authority.context(authority.issue("carol.mcollective"))
    async with (
        asyncio.timeout(DEADLINE),
        old_broker(choria, tmp_path, authority, hq, **listening(hq)),
        spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode)),
        client_of(hq, context) as here,
        client_of(site, context) as there,
    ):
        await meet(here, there)
        await answers_cross(Fleet(choria, tmp_path, authority), hq, site)


@pytest.mark.timeout(240)
async def test_a_spoke_of_go_choria_at_a_hub_of_ours(tmp_path: Path, authority: Authority, choria: Path) -> None:
    hq, site = Node(HQ), Node(SITE)
    settings = remote("HQ", hq.leafnode) | {"network__gateway_name": "SITE", "network__leafnode_remotes": "HQ"}
    context = authority.context(authority.issue("carol.mcollective"))
    async with (
        asyncio.timeout(DEADLINE),
        hub(tmp_path, authority, hq) as above,
        old_broker(choria, tmp_path, authority, site, **settings),
        client_of(hq, context) as here,
        client_of(site, context) as there,
    ):
        await meet(here, there)
        (decision,) = [each for each in (await recent(above)) if each.kind == "leafnode"]
        assert (decision.rule, decision.common_name) == ("mtls", SITE)
        await answers_cross(Fleet(choria, tmp_path, authority), hq, site)


def with_streams(folder: Path, node: Node) -> dict[str, Setting]:
    return {"network__stream__store": folder / f"{node.identity}.store", "network__stream__manage_streams": False}


async def kept(connection: Client) -> int:
    """Return how many messages stream T has on the broker of a client."""
    return int((await connection.jetstream().stream_info("T")).state.messages)


async def test_streams_of_a_go_choria_hub_keep_what_a_spoke_says_and_answer_their_own_side_only(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    hq, site = Node(HQ), Node(SITE)
    context = authority.context(authority.issue("carol.mcollective"))
    async with (
        old_broker(choria, tmp_path, authority, hq, **listening(hq), **with_streams(tmp_path, hq)),
        spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode)),
        client_of(hq, context) as here,
        client_of(site, context) as there,
    ):
        await here.jetstream().add_stream(STREAM)
        await meet(here, there)
        acknowledged = json.loads((await there.request("t.one", b"from the site", timeout=5)).data)
        assert (acknowledged["stream"], acknowledged["seq"]) == ("T", 1)
        assert await kept(here) == 1
        with pytest.raises(NoRespondersError):
            await there.request("$JS.API.STREAM.INFO.T", b"", timeout=5)


async def test_streams_of_hub_and_spoke_are_two_worlds_that_hear_the_same_subjects(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    hq, site = Node(HQ), Node(SITE)
    context = authority.context(authority.issue("carol.mcollective"))
    async with (
        old_broker(choria, tmp_path, authority, hq, **listening(hq), **with_streams(tmp_path, hq)),
        spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode), **with_streams(tmp_path, site)),
        client_of(hq, context) as here,
        client_of(site, context) as there,
    ):
        await there.jetstream().add_stream(STREAM)
        await meet(here, there)
        with pytest.raises(NotFoundError):
            await kept(here)
        await here.jetstream().add_stream(STREAM)
        await meet(here, there)
        await there.publish("t.one", b"from the site")
        await meet(here, there)
        assert (await kept(here), await kept(there)) == (1, 1)
