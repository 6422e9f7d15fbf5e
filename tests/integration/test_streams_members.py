"""Members that leave their cluster and come back: streams whose only copy they had are kept, and moved ones are not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.errors import ConfigurationError
from choria_broker.streams.trouble import Trouble
from support.streaming import (
    IN_CLUSTERS,
    ask,
    changed,
    info,
    kept,
    kept_of,
    made,
    member,
    speaking,
    store_of,
    until,
)
from support.testbed import Authority
from support.topology import Node, client_of, nodes, running

ONE_COPY: dict[str, Any] = {
    f"network__stream__{name}_replicas": 1 for name in ("event", "machine", "advisory", "executor", "leader_election")
}
NOT_A_MEMBER = 10044
"""What the engine answers when there is no such member of the cluster, by the number of its error."""
SYSTEM: dict[str, Any] = {"network__system__user": "system", "network__system__password": "s3cret"}


async def durable(connection: Client, stream: str, name: str) -> None:
    config = {"durable_name": name, "ack_policy": "explicit", "num_replicas": 1}
    answer = await ask(
        connection, f"CONSUMER.DURABLE.CREATE.{stream}.{name}", {"stream_name": stream, "config": config}
    )
    assert "error" not in answer, answer
    subscription = await connection.jetstream().pull_subscribe_bind(name, stream)
    for message in await subscription.fetch(2, timeout=IN_CLUSTERS):
        await message.ack_sync()


async def removed(node: Node, authority: Authority, victim: Node) -> None:
    """Remove a member from its cluster, as ``nats server raft peer-remove`` does."""
    context = authority.context(authority.issue("bob.mcollective", "localhost"))
    login = {"user": "system", "password": "s3cret"}
    request, asked = json.dumps({"peer": victim.identity}).encode(), False
    lead, leads = json.dumps({"placement": {"preferred": node.identity}}).encode(), False
    async with client_of(node, context, **login) as connection, asyncio.timeout(IN_CLUSTERS):
        # A leader of the cluster that removes itself ends before it has heard that it is removed.
        while not leads:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                answer = json.loads((await connection.request("$JS.API.META.LEADER.STEPDOWN", lead, timeout=2)).data)
                leads = "is already leader" in answer.get("error", {}).get("description", "")
            await asyncio.sleep(0.1)
        while True:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                again, asked = asked, True
                answer = json.loads((await connection.request("$JS.API.SERVER.REMOVE", request, timeout=2)).data)
                # A leader that steps down meanwhile has removed the member and never says so.
                if answer.get("success") or (again and answer["error"]["err_code"] == NOT_A_MEMBER):
                    return
            await asyncio.sleep(0.1)


async def leader_of(connection: Client, stream: str) -> str:
    """Return the member that leads a stream, once there is one."""
    async with asyncio.timeout(IN_CLUSTERS):
        while True:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                answer = await ask(connection, f"STREAM.INFO.{stream}", timeout=2)
                if leader := answer.get("cluster", {}).get("leader"):
                    return str(leader)
            await asyncio.sleep(0.05)


def homes(folder: Path, stream: str) -> set[str]:
    """Return the members in whose stores a stream lies where streams lie."""
    return {place.parents[4].name for place in folder.glob(f"*/store/jetstream/choria/streams/{stream}")}


def blocks(stream: Path) -> bytes:
    """Return the messages of a stream as they lie in its directory."""
    return b"".join(path.read_bytes() for path in stream.glob("msgs/*.blk"))


def told(brokers: list[NetworkBroker]) -> list[str]:
    return [stream for broker in brokers for stream in kept_of(broker)]


def homes_of_all(folder: Path) -> set[str]:
    """Return the names of all streams of the account."""
    return {place.name for place in folder.glob("*/store/jetstream/choria/streams/*")}


def is_told_where_orders_are(trouble: Trouble, store: Path) -> None:
    """Look whether the stream is whole below the store, and the operator told of it."""
    assert trouble.level == logging.ERROR
    assert trouble.loses
    assert "nats stream rm ORDERS" in trouble.remedy
    assert Path(trouble.place).parent == store / "kept"
    assert (Path(trouble.place) / "obs/READER/o.dat").exists()
    assert b"message" in blocks(Path(trouble.place))


@pytest.mark.slow
@pytest.mark.parametrize("alive", [False, True], ids=["stopped", "alive"])
async def test_streams_whose_only_copy_a_removed_member_had_are_kept_when_it_comes_back(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, *, alive: bool
) -> None:
    members = nodes(3)

    def brokers() -> dict[str, NetworkBroker]:
        return {each.identity: member(tmp_path, authority, each, *members, **ONE_COPY, **SYSTEM) for each in members}

    first = brokers()
    async with contextlib.AsyncExitStack() as stack:
        own = {name: await stack.enter_async_context(contextlib.AsyncExitStack()) for name in first}
        for name, broker in first.items():
            await own[name].enter_async_context(broker)
        async with speaking(first[members[0].identity]) as connection:
            await kept(first[members[0].identity])
            await made(connection, "ORDERS")
            await durable(connection, "ORDERS", "READER")
            await made(connection, "SAFE", replicas=3)
            victim = await leader_of(connection, "ORDERS")
        single = {name for name in homes_of_all(tmp_path) if homes(tmp_path, name) == {victim}}
        assert "ORDERS" in single
        node = next(each for each in members if each.identity == victim)
        other = next(each for each in members if each.identity != victim)
        if not alive:
            await own[victim].aclose()
        await removed(other, authority, node)
        async with speaking(first[other.identity]) as connection, asyncio.timeout(IN_CLUSTERS):
            # The cluster makes them anew elsewhere, without a message.
            while await leader_of(connection, "ORDERS") == victim:
                await asyncio.sleep(0.05)
        place = store_of(tmp_path, node)
        if alive:
            await until(lambda: "this broker was removed from its cluster" in caplog.text)
            await own[victim].aclose()
            if "ORDERS" in kept_of(first[victim]):
                # It heard who has the stream now before it heard that it is removed itself.
                assert b"message" in blocks(Path(kept_of(first[victim])["ORDERS"].place))
                return
            assert b"message" in blocks(place / "jetstream/choria/streams/ORDERS")
            with pytest.raises(ConfigurationError, match="the records of this cluster do not name them"):
                await brokers()[victim].run()
            assert b"message" in blocks(place / "jetstream/choria/streams/ORDERS")
            return
        back = brokers()[victim]
        await own[victim].enter_async_context(back)
        await until(lambda: single <= set(kept_of(back)))
        is_told_where_orders_are(kept_of(back)["ORDERS"], place)
        assert "SAFE" not in kept_of(back)
        async with speaking(back) as connection:
            assert (await info(connection, "SAFE"))["state"]["messages"] == 3


@pytest.mark.slow
async def test_a_stream_that_was_moved_or_has_fewer_copies_frees_its_place_and_is_not_told(
    tmp_path: Path, authority: Authority
) -> None:
    members = nodes(3)
    brokers = [member(tmp_path, authority, each, *members, **ONE_COPY) for each in members]
    async with running(brokers), speaking(brokers[0]) as connection:
        await kept(brokers[0])
        await made(connection, "MOVED")
        await durable(connection, "MOVED", "READER")
        source = await leader_of(connection, "MOVED")
        answer = await ask(connection, "STREAM.PEER.EVACUATE.MOVED", {"peer": source})
        assert answer.get("success"), answer
        await until(lambda: source not in homes(tmp_path, "MOVED") and len(homes(tmp_path, "MOVED")) == 1)
        await changed(connection, "MOVED", num_replicas=3)
        await until(lambda: len(homes(tmp_path, "MOVED")) == 3)
        await changed(connection, "MOVED", num_replicas=1)
        await until(lambda: len(homes(tmp_path, "MOVED")) == 1)
        await leader_of(connection, "MOVED")
        found = await info(connection, "MOVED")
        assert (found["state"]["messages"], found["state"]["consumer_count"]) == (3, 1)
        reader = await ask(connection, "CONSUMER.INFO.MOVED.READER")
        assert reader["ack_floor"]["stream_seq"] == 2
        assert told(brokers) == []
        assert list(tmp_path.glob("*/store/kept/*")) == []
        # By force, without a copy: the member that had it keeps it.
        last = await leader_of(connection, "MOVED")
        answer = await ask(connection, "STREAM.PEER.REMOVE.MOVED", {"peer": last})
        assert answer.get("success"), answer
        await until(lambda: "MOVED" in told(brokers))
        (place,) = (store_of(tmp_path, each) / "kept" for each in members if each.identity == last)
        assert b"message" in blocks(next(place.glob("choria.MOVED.2*")))


async def test_a_consumer_that_was_moved_is_not_told_and_one_that_was_moved_by_force_is_kept(
    tmp_path: Path, authority: Authority
) -> None:
    members = nodes(3)
    brokers = [member(tmp_path, authority, each, *members, **ONE_COPY) for each in members]

    async def place(connection: Client) -> str:
        answer = await ask(connection, "CONSUMER.INFO.SAFE.READER")
        return str(answer["cluster"]["leader"])

    def lies_in() -> set[str]:
        found = tmp_path.glob("*/store/jetstream/choria/streams/SAFE/obs/READER")
        return {each.relative_to(tmp_path).parts[0] for each in found}

    async with running(brokers), speaking(brokers[0]) as connection:
        await kept(brokers[0])
        await made(connection, "SAFE", replicas=3)
        await durable(connection, "SAFE", "READER")
        source = await place(connection)
        answer = await ask(connection, "CONSUMER.PEER.EVACUATE.SAFE.READER", {"peer": source})
        assert answer.get("success"), answer
        await until(lambda: source not in lies_in() and len(lies_in()) == 1)
        assert told(brokers) == []
        (source,) = lies_in()
        answer = await ask(connection, "CONSUMER.PEER.REMOVE.SAFE.READER", {"peer": source})
        assert answer.get("success"), answer
        await until(lambda: told(brokers) == ["SAFE"])
        (trouble,) = (kept_of(each)["SAFE"] for each in brokers if kept_of(each))
        assert "consumer READER of stream SAFE" in trouble.words
        assert "nats consumer add" in trouble.remedy
        assert (Path(trouble.place) / "o.dat").stat().st_size > 0
        assert (await info(connection, "SAFE"))["state"]["messages"] == 3
