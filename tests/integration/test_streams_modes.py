"""Brokers that become something else: alone, a member, a member of another cluster. No stream is lost to that."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from click.testing import CliRunner
from nats.aio.client import Client
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.client_end import let_go
from choria_broker.errors import ConfigurationError
from choria_broker.streams.api import NOT_FOUND
from choria_broker.values import replace
from support.minting import ORGANIZATION, hex_of
from support.streaming import (
    SOON,
    answered_with,
    ask,
    contents,
    info,
    kept,
    kept_of,
    made,
    member,
    speaking,
    store_of,
    stores,
    until,
)
from support.testbed import Authority
from support.topology import Node, configure, gateways, nodes, running

DEADLINE = 60.0
CHUNK = 1 << 17


async def test_a_member_that_ran_alone_is_not_given_back_to_its_cluster(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2)
    async with running([member(tmp_path, authority, each, *members) for each in members]) as _:
        pass
    first, store = members[0], store_of(tmp_path, members[0])
    alone = member(tmp_path, authority, first)
    async with alone, speaking(alone) as connection:
        await kept(alone)
        await made(connection, "ALONE")
    before = contents(store)
    together = member(tmp_path, authority, first, *members)
    with pytest.raises(ConfigurationError, match="last used them without peers"):
        await together.run()
    assert contents(store) == before
    path = tmp_path / first.identity / "broker.conf"
    checked = CliRunner().invoke(main, ["check", "--config", str(path)])
    assert checked.exit_code == 1
    assert "choria > ALONE" in checked.output
    assert "The broker would not start." in checked.output
    # What was refused did not change the store, so it is still good for a broker that is alone.
    again = member(tmp_path, authority, first)
    async with again, speaking(again) as connection:
        assert (await info(connection, "ALONE"))["state"]["messages"] == 3
    # The remedy.
    shutil.move(store, tmp_path / "away")
    async with running([member(tmp_path, authority, each, *members) for each in members]):
        pass


async def test_a_broker_that_turns_from_member_to_alone_is_warned_and_has_all_its_streams(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    members = nodes(2)
    brokers = [member(tmp_path, authority, each, *members) for each in members]
    async with running(brokers), speaking(brokers[0]) as connection:
        await kept(brokers[0])
        await made(connection, "BOTH", replicas=2)
        await until(
            lambda: store_of(tmp_path, members[0]).joinpath("jetstream/choria/streams/BOTH/msgs/1.blk").exists()
        )
    alone = member(tmp_path, authority, members[0])
    async with alone, speaking(alone) as connection:
        found = await info(connection, "BOTH")
        assert (found["config"]["num_replicas"], found["state"]["messages"]) == (1, 3)
        await connection.jetstream().publish("of.BOTH", b"one more")
        assert "can no longer start with peers on this store" in caplog.text


async def test_a_member_with_another_identity_or_another_cluster_is_refused(
    tmp_path: Path, authority: Authority
) -> None:
    one, two, three = nodes(3)
    async with running([member(tmp_path, authority, each, one, two) for each in (one, two)]) as _:
        await asyncio.sleep(0)
    store = store_of(tmp_path, one)
    (store / "jetstream/choria/streams/MINE").mkdir(parents=True, exist_ok=True)
    before = contents(store)
    for node, others, words in (
        (three, (three, two), f"the store belongs to {one.identity}"),
        (one, (one, three), "one of the two clusters would delete the streams of the other"),
    ):
        broker = member(tmp_path, authority, node, *others, network__stream__store=store)
        with pytest.raises(ConfigurationError, match=words):
            await broker.run()
        assert contents(store) == before


async def snapshot(connection: Client, stream: str) -> tuple[Any, list[bytes]]:
    """Back a stream up, as the nats command line does."""
    chunks: list[bytes] = []
    complete, inbox = asyncio.Event(), connection.new_inbox()

    async def take(message: Msg) -> None:
        chunks.append(message.data)
        if message.reply:
            await message.respond(b"")
        if not message.data:
            complete.set()

    await connection.subscribe(inbox, cb=take)
    document = {"deliver_subject": inbox, "chunk_size": CHUNK}
    answer = await ask(connection, f"STREAM.SNAPSHOT.{stream}", document)
    assert "error" not in answer, answer
    async with asyncio.timeout(DEADLINE):
        await complete.wait()
    return answer, chunks


async def restore(connection: Client, stream: str, backup: tuple[Any, list[bytes]]) -> None:
    """Restore a stream of a backup, as the nats command line does."""
    about, chunks = backup
    answer = await ask(connection, f"STREAM.RESTORE.{stream}", {"config": about["config"], "state": about["state"]})
    assert "error" not in answer, answer
    last = None
    for chunk in (*(chunk for chunk in chunks if chunk), b""):
        last = await connection.request(answer["deliver_subject"], chunk, timeout=DEADLINE)
    assert last
    assert "error" not in json.loads(last.data or b"{}"), last.data


async def deleted(connection: Client, stream: str) -> None:
    """Delete a stream, as often as it takes until the cluster has a leader that hears of it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                answer = await ask(connection, f"STREAM.DELETE.{stream}", timeout=2)
                if answer.get("success") or answer.get("error", {}).get("err_code") == NOT_FOUND:
                    return
            await asyncio.sleep(0.05)


async def rescued(tmp_path: Path, authority: Authority, place: Path) -> tuple[Any, list[bytes]]:
    """Do what the remedy says: a broker without peers has the stream again, and backs it up for the cluster."""
    rescue = Node("rescue.example.net")
    target = store_of(tmp_path, rescue) / "jetstream/choria/streams/ALONE"
    target.parent.mkdir(parents=True)
    shutil.move(place, target)
    rescuer = member(tmp_path, authority, rescue)
    async with rescuer, speaking(rescuer) as lone:
        assert (await info(lone, "ALONE"))["state"]["messages"] == 3
        return await snapshot(lone, "ALONE")


@pytest.mark.slow
async def test_what_the_cluster_does_not_know_is_kept_and_what_was_deleted_meanwhile_is_not(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    members, soon = nodes(3), replace(SOON, answer=0.5)
    store = store_of(tmp_path, members[0])
    brokers = [member(tmp_path, authority, each, *members, timers=soon) for each in members]
    async with running(brokers), speaking(brokers[0]) as connection:
        await kept(brokers[0])
        for name in ("GONE", "DELETED"):
            await made(connection, name, replicas=3)
        # What the Streams API deletes is deleted.
        assert (await ask(connection, "STREAM.DELETE.DELETED"))["success"]
        await until(lambda: not any(path.name.endswith("DELETED") for path in tmp_path.rglob("*DELETED*")))
        assert (store / "jetstream/choria/streams/GONE").exists()
    # A broker that does not write down what it used its store as, such as go-choria's.
    alone = member(tmp_path, authority, members[0])
    async with alone, speaking(alone) as connection:
        await kept(alone)
        await made(connection, "ALONE")
        reader = {"durable_name": "READER", "ack_policy": "explicit"}
        await ask(connection, "CONSUMER.DURABLE.CREATE.ALONE.READER", {"stream_name": "ALONE", "config": reader})
    (store / "broker.json").unlink()
    before = contents(store / "jetstream/choria/streams/ALONE")
    others = [member(tmp_path, authority, each, *members, timers=soon) for each in members[1:]]
    async with running(others), speaking(others[0]) as connection:
        await kept(others[0])
        # Only the leader of a stream tells of its deletion, and whoever has not got one yet is deleted all the same.
        await answered_with(connection, "state", "STREAM.INFO.GONE")
        await deleted(connection, "GONE")
        advisory = {"last_by_subj": "$JS.EVENT.ADVISORY.STREAM.DELETED.GONE"}
        await answered_with(connection, "message", "STREAM.MSG.GET.CHORIA_STREAM_ADVISORIES", advisory)
    # With their end they compact the records of the cluster, and whoever comes back gets these as a whole.
    others = [member(tmp_path, authority, each, *members, timers=soon) for each in members[1:]]
    async with running(others), speaking(others[0]) as connection:
        await kept(others[0])
        back = member(tmp_path, authority, members[0], *members, timers=soon)
        async with back:
            await until(lambda: "ALONE" in kept_of(back))
            place = Path(kept_of(back)["ALONE"].place)
            assert place.parent == store / "kept"
            assert {name: text for name, text in contents(place).items() if name != "msgs/index.db"} == {
                name: text for name, text in before.items() if name != "msgs/index.db"
            }
            assert "jetstream/choria/streams/ALONE" in kept_of(back)["ALONE"].remedy
            await until(lambda: "was deleted while this broker was away" in caplog.text)
            assert "GONE" not in kept_of(back)
            assert not list(tmp_path.rglob("*GONE*"))
        await restore(connection, "ALONE", await rescued(tmp_path, authority, place))
        found = await info(connection, "ALONE")
        assert (found["state"]["messages"], found["state"]["consumer_count"]) == (3, 1)


@pytest.fixture
def sites(tmp_path: Path, authority: Authority) -> Callable[..., list[NetworkBroker]]:
    """Two clusters of two members, with gateways between them or not; one of them may have no Streams."""
    tokyo, london = nodes(2, site="tokyo.example"), nodes(2, site="london.example")

    def brokers(*, together: bool, without: str = "") -> list[NetworkBroker]:
        made = []
        for name, members, others in (("Tokyo", tokyo, {"London": london}), ("London", london, {"Tokyo": tokyo})):
            for each in members:
                links = gateways(each, name, **others) if together else {"network__gateway_name": name}
                if name == without:
                    links["network__stream__store"] = ""
                made.append(member(tmp_path, authority, each, *members, **links))
        return made

    return brokers


@pytest.mark.slow
async def test_clusters_with_streams_of_their_own_are_not_joined_by_gateways(
    tmp_path: Path, sites: Callable[..., list[NetworkBroker]]
) -> None:
    apart = sites(together=False)
    async with running(apart), speaking(apart[0]) as tokyo, speaking(apart[2]) as london:
        for broker in apart:
            await kept(broker)
        await made(tokyo, "TOKYOS", replicas=2)
        await made(london, "LONDONS", replicas=2)
    before = {path: contents(path) for path in tmp_path.glob("*/store")}
    for broker in sites(together=True):
        with pytest.raises(ConfigurationError, match="the streams of one cluster are lost"):
            await broker.run()
    assert {path: contents(path) for path in tmp_path.glob("*/store")} == before
    # The remedy: one of them keeps its streams, and hears of what is said in the other.
    for path in tmp_path.glob("*tokyo*/store/broker.json"):
        path.unlink()
    together = sites(together=True, without="London")
    async with running(together), speaking(together[0]) as tokyo, speaking(together[3]) as london:
        await kept(together[0])
        await stores(london, "of.TOKYOS")
        assert (await info(tokyo, "TOKYOS"))["state"]["messages"] > 3


@pytest.mark.slow
async def test_clusters_that_were_always_joined_have_their_streams_together_and_start_again(
    tmp_path: Path, sites: Callable[..., list[NetworkBroker]]
) -> None:
    together = sites(together=True)
    async with running(together), speaking(together[0]) as tokyo, speaking(together[3]) as london:
        await kept(together[0])
        await made(tokyo, "BOTHS", replicas=2)
        assert (await info(london, "BOTHS"))["state"]["messages"] == 3
    for path in tmp_path.glob("*/broker.conf"):
        assert CliRunner().invoke(main, ["check", "--config", str(path)]).exit_code == 0


@pytest.mark.slow
async def test_members_mend_a_damaged_description_and_streams_follow_their_cluster_to_a_new_name(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    members = nodes(2)

    def brokers(name: str, replicas: int) -> list[NetworkBroker]:
        return [
            member(
                tmp_path,
                authority,
                each,
                *members,
                network__stream__event_replicas=replicas,
                network__gateway_name=name,
            )
            for each in members
        ]

    async with running(first := brokers("OLD", 1)), speaking(first[0]) as connection:
        for broker in first:
            await kept(broker)
        assert (await info(connection, "CHORIA_EVENTS"))["config"]["num_replicas"] == 1
    description = store_of(tmp_path, members[0]) / "jetstream/choria/streams/CHORIA_MACHINE/meta.inf"
    description.write_bytes(description.read_bytes()[:50])
    caplog.clear()
    async with running(second := brokers("NEW", 2)), speaking(second[0]) as connection:
        for broker in second:
            await kept(broker)
        assert (await info(connection, "CHORIA_EVENTS"))["config"]["num_replicas"] == 2
        await until(lambda: "The damaged description of stream CHORIA_MACHINE" in caplog.text)
        assert "nats stream edit STREAM --cluster NEW" in caplog.text
        assert "Placed stream CHORIA_EVENTS again" in caplog.text
        assert second[0].streams.ledger.troubles == ()
    caplog.clear()
    async with running(third := brokers("NEW", 2)):
        await kept(third[0])
        assert "description" not in caplog.text


async def test_streams_of_an_account_that_a_reload_renames_are_told_and_come_back_with_it(
    tmp_path: Path, authority: Authority
) -> None:
    (node,) = nodes(1)

    def written(account: str) -> Path:
        return configure(
            tmp_path,
            authority,
            node,
            network__stream__store=store_of(tmp_path, node),
            network__stream__manage_streams=False,
            plugin__security__issuer__names="acme",
            plugin__security__issuer__acme__public=hex_of(ORGANIZATION),
            plugin__security__issuer__acme__account=account,
        )

    async with NetworkBroker.from_file(written("acme")) as broker:
        connection = await broker.connect("acme")
        await made(connection, "ORDERS")
        await let_go(connection)
        written("other")
        (told,) = (each for each in await broker.reload() if each.code == "streams-of-no-account")
        assert "acme > ORDERS" in told.problem
        written("acme")
        assert "streams-of-no-account" not in {each.code for each in await broker.reload()}
        connection = await broker.connect("acme")
        assert (await info(connection, "ORDERS"))["state"]["messages"] == 3
        await let_go(connection)
