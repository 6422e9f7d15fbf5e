"""Real Choria programs on Choria Streams: a store they made, elections, buckets, events of a server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from support.fleet import Fleet
from support.old_broker import old_broker
from support.standard_streams import NAMES
from support.streaming import ask, info, kept
from support.testbed import Authority, client
from support.topology import Node, broker, client_of

DEADLINE = 60.0
MADE = tuple(name for name in NAMES if name != "CHORIA_EXECUTOR")
"""What go-choria v0.28.0 makes."""

ONE_COPY: dict[str, Any] = {
    f"network__stream__{name}_replicas": 1 for name in ("event", "machine", "advisory", "leader_election")
}
"""With explicit numbers the original makes its streams at once."""


@contextlib.asynccontextmanager
async def streams_broker(
    folder: Path, authority: Authority, **settings: str | int
) -> AsyncIterator[tuple[NetworkBroker, Node]]:
    node = Node("broker.example.net")
    one = broker(folder, authority, node, network__stream__store=folder / "store", **settings)
    async with asyncio.timeout(DEADLINE), one:
        await kept(one)
        yield one, node


async def test_a_store_of_the_original_is_adopted_with_all_its_streams_and_messages(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    node, store = Node("broker.example.net"), tmp_path / "store"
    context = authority.context(authority.issue("bob.mcollective"))
    before: dict[str, Any] = {}
    async with asyncio.timeout(DEADLINE):
        async with (
            old_broker(choria, tmp_path, authority, node, network__stream__store=store, **ONE_COPY),
            client_of(node, context) as bob,
        ):
            while len((await ask(bob, "STREAM.NAMES")).get("streams") or ()) < len(MADE):
                await asyncio.sleep(0.05)  # Another program makes them: there is no event to wait for.
            mine = {"name": "ORDERS", "subjects": ["orders.>"], "storage": "file", "max_msgs": 50}
            assert "error" not in await ask(bob, "STREAM.CREATE.ORDERS", mine)
            streams = bob.jetstream()
            for number in range(100):
                for subject in ("choria.lifecycle.event", "choria.machine.event", "orders.new"):
                    await streams.publish(f"{subject}.{number}", f"message {number}".encode())
            await streams.publish("$KV.CHORIA_LEADER_ELECTION.test", b"leader")
            await ask(bob, "STREAM.NAMES")
            before = {name: await info(bob, name) for name in (*MADE, "ORDERS")}
        one = broker(tmp_path, authority, node, network__stream__store=store)
        async with one, client(one, context) as bob:
            assert await kept(one) == dict.fromkeys(MADE, "unchanged") | {"CHORIA_EXECUTOR": "created"}
            assert one.streams.ledger.troubles == ()
            for name, was in before.items():
                found = await info(bob, name)
                assert found["created"] == was["created"]
                assert {key: found["config"][key] for key in was["config"] if key != "metadata"} == {
                    key: value for key, value in was["config"].items() if key != "metadata"
                }
                if name != "CHORIA_STREAM_ADVISORIES":
                    assert found["state"] == was["state"]
            advisories = (await info(bob, "CHORIA_STREAM_ADVISORIES"))["state"]["messages"]
            assert advisories >= before["CHORIA_STREAM_ADVISORIES"]["state"]["messages"] > 0
            assert (await info(bob, "CHORIA_EVENTS"))["state"]["messages"] == 100
            last = await ask(bob, "STREAM.MSG.GET.ORDERS", {"last_by_subj": "orders.new.99"})
            assert last["message"]["seq"] == 100


async def test_two_programs_elect_one_leader_and_another_when_it_dies(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    fleet = Fleet(choria, tmp_path, authority)
    async with streams_broker(tmp_path, authority, network__stream__leader_election_ttl="5s") as (_, node):
        candidates: dict[Path, asyncio.subprocess.Process] = {}
        try:
            for number in (1, 2):
                config, won = fleet.client(node.client, f"bob{number}.mcollective"), tmp_path / f"won{number}"
                script = tmp_path / f"lead{number}.sh"
                script.write_text(f"#!/bin/sh\necho leading > {won}\nexec sleep 60\n", encoding="utf-8")
                script.chmod(0o755)
                candidates[won] = await asyncio.create_subprocess_exec(
                    choria,
                    *("election", "run", "boss", script, "--config", config),
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            first = await winner(*candidates)
            (other,) = {*candidates} - {first}
            keys = ("kv", "keys", "CHORIA_LEADER_ELECTION", "--config", fleet.client(node.client))
            await fleet.run_until(*keys, wanted=["boss"])
            assert not other.exists()
            os.killpg(candidates[first].pid, signal.SIGKILL)
            assert await winner(other) == other
        finally:
            for process in candidates.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


async def winner(*marks: Path) -> Path:
    """Wait until one of these files is there, and return it."""
    while not (found := [mark for mark in marks if mark.exists()]):
        await asyncio.sleep(0.05)  # Another program makes it: there is no event to wait for.
    return found[0]


async def test_the_election_bucket_is_as_choria_likes_it(tmp_path: Path, authority: Authority, choria: Path) -> None:
    fleet = Fleet(choria, tmp_path, authority)
    async with streams_broker(tmp_path, authority) as (_, node):
        shown = await fleet.run_until("election", "info", "--config", fleet.client(node.client), wanted=["1m0s"])
        assert "warn" not in shown.output.lower()


async def test_lifecycle_events_of_a_real_server_are_kept(tmp_path: Path, authority: Authority, choria: Path) -> None:
    fleet = Fleet(choria, tmp_path, authority)
    async with streams_broker(tmp_path, authority) as (one, node):
        connection = await one.connect()
        async with fleet.server(node.client, "node1.example.net"):
            while not (await info(connection, "CHORIA_EVENTS"))["state"]["messages"]:
                await asyncio.sleep(0.05)  # Another program sends them: there is no event to wait for.
        found = await ask(connection, "STREAM.MSG.GET.CHORIA_EVENTS", {"seq": 1})
        assert found["message"]["subject"].startswith("choria.lifecycle.event.startup")
        event = json.loads(base64.b64decode(found["message"]["data"]))
        assert "node1.example.net" in json.dumps(event)
        await let_go(connection)


async def test_buckets_of_users(tmp_path: Path, authority: Authority, choria: Path) -> None:
    fleet = Fleet(choria, tmp_path, authority)
    async with streams_broker(tmp_path, authority) as (_, node):
        config = ("--config", fleet.client(node.client))
        for command in (("kv", "add", "CONFIG"), ("kv", "put", "CONFIG", "colour", "blue")):
            outcome = await fleet.run(*command, *config)
            assert outcome.status == 0, outcome.output
        await fleet.run_until("kv", "get", "CONFIG", "colour", *config, wanted=["blue"])
        await fleet.run_until("kv", "list", *config, wanted=["CONFIG", "CHORIA_LEADER_ELECTION"])
        await fleet.run_until("kv", "history", "CONFIG", "colour", *config, wanted=["blue"])
        await fleet.run_until("kv", "status", "CONFIG", *config)
        assert (await fleet.run("kv", "del", "CONFIG", "--force", *config)).status == 0
