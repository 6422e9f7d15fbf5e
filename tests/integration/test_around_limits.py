"""What the manual says tokens can do beyond their lists: nats-server's own ways around permissions, as they are."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from support.minting import HOLDER, mint, proof
from support.minting import client as client_claims
from support.nats_socket import Wire, wire
from support.streaming import answered_with, ask, kept
from support.testbed import Authority, configuration, settled
from support.websockets import ISSUER

FLEET = "mcollective.node.node1.example.net"
"""A subject of the fleet's requests."""


@pytest_asyncio.fixture
async def broker(tmp_path: Path, authority: Authority) -> AsyncIterator[NetworkBroker]:
    """A broker with tokens and Streams."""
    config = configuration(tmp_path, authority, **ISSUER, network__stream__store=tmp_path / "store")
    async with NetworkBroker.from_file(config) as made:
        await kept(made)
        yield made


@contextlib.asynccontextmanager
async def holder(broker: NetworkBroker, authority: Authority, **permissions: bool) -> AsyncIterator[Wire]:
    """Connect with a client token that has these permissions and may not publish to the fleet."""
    now = int(time.time())
    claims = client_claims(ou="choria", permissions=permissions, nbf=None, jti=None)
    token = mint({**claims, "iat": now - 60, "exp": now + 3600})
    async with wire(broker.ports.client, authority.context()) as peer:
        await peer.connect(auth_token=token, sig=proof(HOLDER, peer.nonce))
        assert await peer.publish([FLEET], "denied") == {FLEET}
        yield peer


@contextlib.asynccontextmanager
async def inside(broker: NetworkBroker) -> AsyncIterator[Client]:
    connection = await broker.connect()
    try:
        yield connection
    finally:
        await let_go(connection)


async def test_the_smallest_token_has_the_server_answer_to_a_foreign_subject(
    broker: NetworkBroker, authority: Authority
) -> None:
    """The answer is the engine's, about the holder; what is in it the holder does not choose."""
    async with inside(broker) as friend, holder(broker, authority) as peer:
        fleet = await friend.subscribe(FLEET)
        await settled(friend)
        peer._writer.write(f"PUB $SYS.REQ.USER.INFO {FLEET} 6\r\nchosen\r\n".encode())
        await peer.flush()
        noise = (await fleet.next_msg(timeout=5)).data
        assert json.loads(noise)["data"]["account"] == "choria"
        assert b"chosen" not in noise


async def test_a_stream_sends_for_a_token_what_that_may_not(broker: NetworkBroker, authority: Authority) -> None:
    async with inside(broker) as friend, holder(broker, authority, streams_user=True) as peer:
        bucket = {"name": "KV_notes", "subjects": ["$KV.notes.>"]}
        assert "error" not in await ask(friend, "STREAM.CREATE.KV_notes", bucket)
        fleet = await friend.subscribe(FLEET)
        await settled(friend)
        assert not await peer.publish(["$KV.notes.a"], "chosen")
        consumer = {"stream_name": "KV_notes", "config": {"deliver_subject": FLEET, "ack_policy": "none"}}
        assert not await peer.publish(["$JS.API.CONSUMER.CREATE.KV_notes"], json.dumps(consumer))
        assert (await fleet.next_msg(timeout=5)).data == b"chosen"


async def test_an_administrator_of_streams_reads_requests_of_the_fleet(
    broker: NetworkBroker, authority: Authority
) -> None:
    async with inside(broker) as friend, holder(broker, authority, streams_admin=True) as peer:
        stream = {"name": "EARS", "subjects": ["mcollective.>"]}
        assert not await peer.publish(["$JS.API.STREAM.CREATE.EARS"], json.dumps(stream))
        await answered_with(friend, "config", "STREAM.INFO.EARS")
        await friend.publish(FLEET, b"a request")
        await friend.flush()
        found = await answered_with(friend, "message", "STREAM.MSG.GET.EARS", {"seq": 1})
        assert found["message"]["subject"] == FLEET
