"""Damaged consumers, and directories that are in the wrong place: all are told, and nothing is deleted."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.streams.trouble import Trouble, TroubleKind
from support.streaming import IN_CLUSTERS, ask, contents, info, kept, made, member, speaking, store_of, until
from support.testbed import Authority
from support.topology import Node, nodes, running

NODE = Node("broker.example.net")
NEVER_USED = "NEVER"


async def durable(connection: Client, name: str) -> None:
    config = {"durable_name": name, "ack_policy": "explicit"}
    call = f"CONSUMER.DURABLE.CREATE.ORDERS.{name}"
    assert "error" not in await ask(connection, call, {"stream_name": "ORDERS", "config": config})


async def floors(connection: Client) -> dict[str, int]:
    """Return the consumers of the stream and up to which message all is acknowledged."""
    answer = await ask(connection, "CONSUMER.LIST.ORDERS", {})
    return {each["name"]: each["ack_floor"]["stream_seq"] for each in answer["consumers"]}


async def begin(folder: Path, authority: Authority, *names: str) -> Path:
    """Make a stream with durable consumers that have acknowledged two messages, and return its directory."""
    async with (one := member(folder, authority, NODE)), speaking(one) as connection:
        await kept(one)
        await made(connection, "ORDERS")
        for name in names:
            await durable(connection, name)
            if name != NEVER_USED:
                subscription = await connection.jetstream().pull_subscribe_bind(name, "ORDERS")
                for message in await subscription.fetch(2):
                    await message.ack_sync()
    return store_of(folder, NODE) / "jetstream/choria/streams/ORDERS"


def edited(description: Path, **fields: Any) -> None:
    """Change a description without its checksum."""
    description.write_text(json.dumps(json.loads(description.read_text()) | fields))


async def started(folder: Path, authority: Authority) -> tuple[dict[str, Trouble], dict[str, int]]:
    """Start the broker, and return what it tells of, by the name of the directory, and the consumers."""
    async with (one := member(folder, authority, NODE)), speaking(one) as connection:
        await kept(one)
        troubles = [noted.trouble for noted in one.streams.ledger.troubles]
        named = {Path(each.file.removesuffix("/o.dat")).name: each for each in troubles}
        assert len(named) == len(troubles)
        assert (await info(connection, "ORDERS"))["state"]["messages"] == 3
        return named, await floors(connection)


async def test_a_description_whose_checksum_is_wrong_is_told_and_the_consumer_stays_as_it_is(
    tmp_path: Path, authority: Authority
) -> None:
    stream = await begin(tmp_path, authority, "EMPTY", "POLICY", "NAME", "SUM", "FINE")
    (stream / "obs/EMPTY/meta.inf").write_bytes(b"{}")
    edited(stream / "obs/POLICY/meta.inf", ack_policy="none")
    edited(stream / "obs/NAME/meta.inf", name="OTHER", durable_name="OTHER")
    (stream / "obs/SUM/meta.sum").write_bytes(b"")
    before = {name: contents(stream / "obs" / name) for name in ("EMPTY", "POLICY", "NAME", "SUM")}
    told, found = await started(tmp_path, authority)
    assert found == {"FINE": 2}
    assert set(told) == set(before)
    assert {(each.kind, each.loses) for each in told.values()} == {(TroubleKind.NOT_RESTORED, True)}
    assert {name: contents(stream / "obs" / name) for name in before} == before
    # The remedy: each goes on where it was.
    async with (one := member(tmp_path, authority, NODE)), speaking(one) as connection:
        for name in before:
            await durable(connection, name)
        assert one.streams.ledger.troubles == ()
    assert await started(tmp_path, authority) == ({}, dict.fromkeys((*before, "FINE"), 2))


async def test_what_a_consumer_remembered_is_told_to_be_lost_once(tmp_path: Path, authority: Authority) -> None:
    stream = await begin(tmp_path, authority, "EMPTY", "MISSING", "FINE", NEVER_USED)
    (stream / "obs/EMPTY/o.dat").write_bytes(b"")
    (stream / "obs/MISSING/o.dat").unlink()
    told, found = await started(tmp_path, authority)
    assert set(told) == {"EMPTY", "MISSING"}
    assert {(each.kind, each.loses) for each in told.values()} == {(TroubleKind.DAMAGED, True)}
    assert "the file is empty" in told["EMPTY"].words
    assert "the file is missing" in told["MISSING"].words
    expected = {"EMPTY": 0, "MISSING": 0, "FINE": 2, NEVER_USED: 0}
    assert found == expected
    assert await started(tmp_path, authority) == ({}, expected)


@pytest.mark.parametrize("place", [".", "obs/READER"], ids=["stream", "consumer"])
async def test_a_copied_or_renamed_directory_is_not_called_damaged(
    tmp_path: Path, authority: Authority, place: str
) -> None:
    stream = await begin(tmp_path, authority, "READER")
    original = (stream / place).resolve()
    copy = original.with_name(f"{original.name}.bak")
    shutil.copytree(original, copy)
    (original.parent / "notes.txt").write_text("a file of an operator")
    told, found = await started(tmp_path, authority)
    assert found == {"READER": 2}
    assert set(told) == {copy.name}
    assert not told[copy.name].loses
    assert "move it out of the store" in told[copy.name].remedy
    assert copy.is_dir()
    if place != ".":
        shutil.rmtree(original)
        told, found = await started(tmp_path, authority)
        assert found == {}
        assert told[copy.name].loses
        assert "rename it back to READER" in told[copy.name].remedy
        copy.rename(original)
        assert await started(tmp_path, authority) == ({}, {"READER": 2})


@pytest.mark.slow
async def test_members_mend_the_description_of_a_consumer(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    members = nodes(3)

    def brokers() -> list[NetworkBroker]:
        return [member(tmp_path, authority, each, *members) for each in members]

    async with running(first := brokers()), speaking(first[0]) as connection:
        await kept(first[0])
        await made(connection, "ORDERS", replicas=3)
        await durable(connection, "READER")
        subscription = await connection.jetstream().pull_subscribe_bind("READER", "ORDERS")
        for message in await subscription.fetch(2, timeout=IN_CLUSTERS):
            await message.ack_sync()
        files = [store_of(tmp_path, each) / "jetstream/choria/streams/ORDERS/obs/READER/meta.inf" for each in members]
        await until(lambda: all(each.exists() for each in files))
    files[0].write_bytes(b"{}")
    edited(files[1], ack_policy="none")
    async with running(second := brokers()), speaking(second[0]) as connection:
        for broker in second:
            await kept(broker)
        await until(lambda: caplog.text.count("description of consumer READER of stream ORDERS of account") >= 4)
        await until(lambda: not any(broker.streams.ledger.troubles for broker in second))
        assert json.loads(files[0].read_text())["ack_policy"] == "explicit"
        assert json.loads(files[1].read_text())["ack_policy"] == "explicit"
        async with asyncio.timeout(IN_CLUSTERS):
            while (await floors(connection)).get("READER") != 2:
                await asyncio.sleep(0.05)
