"""Members of clusters whose peers have addresses that cannot be used: they stay members, and streams are safe."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.config.load import load
from choria_broker.config.surroundings.discovery import Discovery, lookup_srv
from support.nameserver import name_server
from support.streaming import SOON, ask, info, kept, member, stores
from support.testbed import Authority
from support.topology import Node, Setting, configure, formed, linked, logged, nodes, page, running, shows

DOMAIN = "choria.test"
RECORD = f"_mcollective-broker._tcp.{DOMAIN}"


def bad_list(own: Node, *, listed: bool = True) -> dict[str, Setting]:
    """Peers in which the other member has no usable port."""
    place = f"localhost:{own.peer}, " if listed else ""
    return {"network__peers": f"{place}localhost:0"}


async def alone(node: Node, members: int) -> None:
    """Wait until a member knows that it is one of so many, and has no leader."""

    def waits(jsz: Any) -> bool:
        meta = jsz.get("meta_cluster") or {}
        return meta.get("cluster_size") == members and not meta.get("leader")

    await shows(node, "/jsz", waits)


@pytest.mark.parametrize("by_srv", [False, True])
async def test_the_other_member_dials_in(tmp_path: Path, authority: Authority, *, by_srv: bool) -> None:
    one, two = nodes(2)
    with name_server({f"{RECORD} SRV": [f"10 0 {one.peer} localhost.", "10 0 0 localhost."]}) as server:
        settings: dict[str, Setting] = bad_list(one)
        if by_srv:
            settings = {
                "network__peer_port": one.peer,
                "plugin__choria__use_srv": True,
                "plugin__choria__srv_domain": DOMAIN,
            }
        config = configure(tmp_path, authority, one, **settings)
        loaded = load(config, discovery=Discovery(srv=functools.partial(lookup_srv, resolver=server.resolver())))
    assert loaded.settings is not None, loaded.findings
    assert loaded.settings.network.cluster.routes == ()
    first = NetworkBroker(loaded.settings, findings=loaded.findings)
    second = member(tmp_path, authority, two, one, two)
    async with first, second:
        await formed(one, two)


async def test_nobody_else_with_a_certificate_of_the_ca_becomes_a_member(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = nodes(2)
    settings: dict[str, Setting] = {"network__peers": f"localhost:{one.peer}, broker9.example.net:0"}
    first = NetworkBroker.from_file(configure(tmp_path, authority, one, **settings))
    stranger = member(tmp_path, authority, two, one, two)
    async with first, stranger:
        await logged(caplog, "authentication error")
        assert (await page(one, "/routez"))["num_routes"] == 0


@pytest.mark.parametrize("listed", [True, False])
async def test_a_cluster_that_begins_has_no_leader_with_one_member(
    tmp_path: Path, authority: Authority, *, listed: bool
) -> None:
    one, two = nodes(2)
    first = member(tmp_path, authority, one, timers=SOON, **bad_list(one, listed=listed))
    second = member(tmp_path, authority, two, one, two)
    async with first:
        await alone(one, 2)
        async with second:
            await formed(one, two)
            await kept(first)
            await kept(second)
            connection = await first.connect()
            copies = (await info(connection, "CHORIA_EVENTS"))["config"]["num_replicas"]
            assert copies == 2 or not listed
            await let_go(connection)


@pytest.mark.slow
async def test_few_members_do_not_take_themselves_for_all(tmp_path: Path, authority: Authority) -> None:
    one, two, three, _ = nodes(4)
    half: dict[str, Setting] = {"network__peers": f"localhost:{one.peer}, localhost:{two.peer}, localhost:0, c:x"}
    brokers = [member(tmp_path, authority, each, timers=SOON, **half) for each in (one, two)]
    third = member(tmp_path, authority, three, one, two, three)
    async with running(brokers):
        await linked(one, two)
        for each in (one, two):
            await alone(each, 3)
        async with third:
            await formed(one, two, three)
            await shows(one, "/jsz", lambda jsz: bool((jsz.get("meta_cluster") or {}).get("leader")))


@pytest.mark.slow
async def test_streams_of_a_member_survive_a_bad_address(tmp_path: Path, authority: Authority) -> None:
    one, two = nodes(2)

    async def publish(broker: NetworkBroker, stream: str) -> Client:
        connection = await broker.connect()
        document = {"name": stream, "subjects": [f"of.{stream}"], "num_replicas": 2}
        assert "error" not in await ask(connection, f"STREAM.CREATE.{stream}", document)
        await stores(connection, f"of.{stream}")
        return connection

    brokers = [member(tmp_path, authority, each, one, two) for each in (one, two)]
    async with running(brokers):
        await kept(brokers[0])
        await (await publish(brokers[0], "BOTH")).close()
    store = tmp_path / one.identity / "store"
    record = (store / "broker.json").read_text()
    first = member(tmp_path, authority, one, timers=SOON, **bad_list(one))
    async with first:
        await alone(one, 2)
        assert (store / "jetstream/choria/streams/BOTH/msgs/1.blk").exists()
        assert (store / "broker.json").read_text() == record, "it does not forget who the others are"
        async with member(tmp_path, authority, two, one, two):
            await formed(one, two)
            await shows(one, "/jsz", lambda jsz: bool((jsz.get("meta_cluster") or {}).get("leader")))
            await kept(first)
            connection = await first.connect()
            found = await info(connection, "BOTH")
            assert (found["config"]["num_replicas"], found["state"]["messages"]) == (2, 1)
            await let_go(connection)
    assert not first.streams.ledger.troubles
