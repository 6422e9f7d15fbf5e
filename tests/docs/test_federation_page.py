"""The configurations of the page about federation, running as they are printed but for addresses and ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from support.pages import ROOT, blocks
from support.surroundings import Machine
from support.testbed import Authority, configuration, free_port, settled
from support.transports import message

DEADLINE = 100.0
PAGE = ROOT / "docs/how-to/federation.md"
REQUESTS, REPLIES = (f"choria.federation.london.{side}" for side in ("federation", "collective"))


def printed(machine: Machine, number: int, places: Mapping[str, str]) -> Path:
    """Write a configuration of the page."""
    text = [block.text for block in blocks(PAGE) if block.language == "ini"][number]
    for name, place in places.items():
        text = text.replace(name, place)
    path = machine.root / f"federation.{number}.conf"
    more = "plugin.choria.network.listen_address = 127.0.0.1\nplugin.choria.network.client_port = 0\n"
    path.write_text(machine.adapt(text) + more, encoding="utf-8")
    return path


async def passes(clients: Client, servers: Client) -> None:
    """Send requests until one arrives at its target, then answer it, until the answer arrives."""
    targets, answers = (
        await servers.subscribe("mcollective.node.web1"),
        await clients.subscribe("mcollective.reply.bob"),
    )
    await settled(clients)
    await settled(servers)
    request = message({"reply-to": "mcollective.reply.bob", "federation": {"req": "1", "target": [targets.subject]}})
    received = json.loads(await arriving(clients, REQUESTS, request, targets))
    assert received["headers"]["reply-to"] == REPLIES
    reply = message({name: received["headers"][name] for name in ("seen-by", "federation")})
    arrived = json.loads(await arriving(servers, REPLIES, reply, answers))
    assert len(arrived["headers"]["seen-by"]) == 2


async def arriving(source: Client, subject: str, data: bytes, subscription: Subscription) -> bytes:
    """Publish until something arrives; nobody is told when a federation broker is connected."""
    while True:
        await source.publish(subject, data)
        with contextlib.suppress(TimeoutError):
            return (await subscription.next_msg(timeout=0.5)).data


@pytest.fixture
def local(machine: Machine) -> Authority:
    """The CA of the machine, made anew with certificates that are good for ``localhost`` too."""
    authority = Authority(machine.config.parent / "ssl")
    authority.issue("broker1.example.net", "localhost")
    return authority


async def test_beside_the_network_broker(tmp_path: Path, machine: Machine, local: Authority) -> None:
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(configuration(tmp_path, local)) as federation:
        config = printed(machine, 0, {"broker.example.net:4222": f"localhost:{federation.ports.client}"})
        async with NetworkBroker.from_file(config) as collective:
            here, there = await federation.connect(), await collective.connect()
            await passes(here, there)
            await let_go(here)
            await let_go(there)


async def test_on_a_machine_of_its_own(tmp_path: Path, machine: Machine, local: Authority) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    networks = [NetworkBroker.from_file(configuration(folder, local)) for folder in folders]
    async with asyncio.timeout(DEADLINE), networks[0] as federation, networks[1] as collective:
        places = {
            "broker.example.net:4222": f"localhost:{federation.ports.client}",
            "london1.example.net:4222, london2.example.net:4222": f"localhost:{collective.ports.client}",
            "8222": str(free_port()),
        }
        async with NetworkBroker.from_file(printed(machine, 1, places)):
            here, there = await federation.connect(), await collective.connect()
            await passes(here, there)
            await let_go(here)
            await let_go(there)
