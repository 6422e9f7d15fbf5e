"""The configurations of the page about adapters, running as they are printed but for addresses and ports."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from support.pages import ROOT, blocks
from support.registrations import SENDER, message
from support.surroundings import Machine
from support.testbed import Authority, configuration, free_port

DEADLINE = 100.0
PAGE = ROOT / "docs/how-to/adapters.md"


async def arrives(connection: Client, source: str, target: str, data: bytes) -> dict[str, object]:
    """Publish a message until a document of it arrives, for an adapter subscribes when it is connected."""
    inbox = await connection.subscribe(target)
    while True:
        await connection.publish(source, data)
        try:
            found = await inbox.next_msg(timeout=1)
        except TimeoutError:
            continue
        document: dict[str, object] = json.loads(found.data)
        return document


@pytest.mark.slow
async def test_beside_the_network_broker(machine: Machine, local: Authority) -> None:
    del local
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(machine.printed(PAGE, 0, {})) as broker:
        connection = await broker.connect()
        topic, target = "mcollective.broadcast.agent.registration", f"choria.node_metadata.{SENDER}"
        document = await arrives(connection, topic, target, message())
        shown = next(block.text for block in blocks(PAGE) if block.text.startswith("{"))
        assert list(document) == list(json.loads(shown))
        assert {**document, "data": "..."} == json.loads(shown)
        await let_go(connection)


@pytest.mark.slow
async def test_on_a_machine_of_its_own(tmp_path: Path, machine: Machine, local: Authority) -> None:
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(configuration(tmp_path, local)) as broker:
        places = {"broker.example.net:4222": f"localhost:{broker.ports.client}", "8222": str(free_port())}
        async with NetworkBroker.from_file(machine.printed(PAGE, 1, places)):
            connection = await broker.connect()
            data = message(request=False)
            document = await arrives(connection, "mcollective.reply.async.x", f"replies.{SENDER}", data)
            assert document["sender"] == SENDER
            await let_go(connection)
