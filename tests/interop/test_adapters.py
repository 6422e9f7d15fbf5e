"""Registration data and asynchronous replies of a real Choria server, which adapters bring into a stream."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from choria_broker.broker import NetworkBroker
from support.fleet import Fleet
from support.testbed import Authority, configuration, free_port

DEADLINE = 120.0
NODE = "node1.example.net"
REPLIES = "mcollective.reply.async.bench"
DATA = {"os": "linux", "words": "<a> & \u00fc"}


def hub(folder: Path, authority: Authority, port: int) -> NetworkBroker:
    path = configuration(folder, authority, network__client_port=port, network__stream__store=folder / "store")
    return NetworkBroker.from_file(path)


def adapters(folder: Path, authority: Authority, port: int) -> NetworkBroker:
    settings: dict[str, str | bool] = {
        "plugin__choria__broker_network": False,
        "plugin__choria__adapters": "nodes, replies",
        "plugin__choria__middleware_hosts": f"localhost:{port}",
        "plugin__choria__adapter__nodes__type": "choria_streams",
        "plugin__choria__adapter__nodes__ingest__topic": "mcollective.broadcast.agent.registration",
        "plugin__choria__adapter__nodes__ingest__protocol": "request",
        "plugin__choria__adapter__nodes__stream__topic": "choria.node_metadata.%s",
        "plugin__choria__adapter__replies__type": "choria_streams",
        "plugin__choria__adapter__replies__ingest__topic": REPLIES,
        "plugin__choria__adapter__replies__stream__topic": "choria.node_metadata.reply.%s",
    }
    return NetworkBroker.from_file(configuration(folder, authority, **settings))


async def documents(broker: NetworkBroker, subject: str) -> Any:
    """Return the number of documents that a stream has for a subject, and the last of them."""
    connection = await broker.connect()
    try:
        stream = connection.jetstream()
        info = await stream.streams_info()
        if not any(each.config.name == "NODES" for each in info):
            await stream.add_stream(name="NODES", subjects=["choria.node_metadata.>"])
        found = (await stream.stream_info("NODES", subjects_filter=subject)).state.subjects or {}
        last = json.loads((await stream.get_last_msg("NODES", subject)).data or b"") if found else {}
        return found.get(subject, 0), last
    finally:
        await connection.close()


async def arrives(broker: NetworkBroker, subject: str, more_than: int = 0) -> Any:
    """Wait until there are more documents than so many."""
    async with asyncio.timeout(DEADLINE):
        while (found := await documents(broker, subject))[0] <= more_than:
            await asyncio.sleep(0.2)
    return found


@contextlib.asynccontextmanager
async def fleet_of(fleet: Fleet, port: int, more: str, broker: NetworkBroker) -> AsyncIterator[NetworkBroker]:
    """Run a broker, and a Choria server that is connected to it."""
    async with broker:
        await documents(broker, "none")
        async with fleet.server(port, NODE, more):
            yield broker


async def test_registration_and_replies_arrive_while_both_sides_are_restarted(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    port, fleet = free_port(), Fleet(choria, tmp_path, authority)
    one, other = tmp_path / "hub", tmp_path / "adapters"
    one.mkdir()
    other.mkdir()
    source = tmp_path / "data.json"
    source.write_text(json.dumps(DATA), encoding="utf-8")
    registration = (
        "registration = file_content\nregisterinterval = 5\nregistration_splay = false\n"
        f"plugin.choria.registration.file_content.data = {source}\n"
    )
    metadata, reply = f"choria.node_metadata.{NODE}", f"choria.node_metadata.reply.{NODE}"
    bob = fleet.client(port)

    async def asks() -> None:
        told = await fleet.run("req", "rpcutil", "ping", "--config", bob, "-I", NODE, "--reply-to", REPLIES)
        assert told.status == 0, told.output

    async def replied(broker: NetworkBroker, before: int) -> Any:
        async with asyncio.timeout(DEADLINE):
            while True:
                await asks()
                for _ in range(20):
                    if (found := await documents(broker, reply))[0] > before:
                        return found
                    await asyncio.sleep(0.2)

    async with fleet_of(fleet, port, registration, hub(one, authority, port)) as broker:
        async with adapters(other, authority, port):
            count, found = await arrives(broker, metadata)
            content = json.loads(found["data"])
            assert content["protocol"] == "choria:registration:filecontent:1"
            assert json.loads(gzip.decompress(base64.b64decode(content["zcontent"]))) == DATA
            assert found["sender"] == NODE
            assert found["protocol"] == "choria:adapters:choria_streams:output:1"
            _, found = await replied(broker, 0)
            assert json.loads(found["data"])["statuscode"] == 0
        async with adapters(other, authority, port):
            count, _ = await arrives(broker, metadata, count)
            replies, _ = await replied(broker, 1)
    async with (
        adapters(other, authority, port),
        fleet_of(fleet, port, registration, hub(one, authority, port)) as broker,
    ):
        await arrives(broker, metadata, count)
        await replied(broker, replies)
