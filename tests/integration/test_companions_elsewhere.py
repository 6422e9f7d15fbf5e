"""Adapters and the federation broker with operators, tokens, name servers and upgrades."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.cli.check import examine
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control.client import ControlError, ask_status
from support.command import started
from support.federating import CLUSTER, Networks, connected, passes
from support.minting import HOLDER, ORGANIZATION, client, hex_of, mint
from support.nameserver import name_server
from support.own_machine import NAME_SERVER, on_own_machine, possible
from support.registrations import message
from support.stores import copy_of_nscs
from support.testbed import Authority, client_of, configuration
from support.upgrading import install, placed, running

pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")

DEADLINE = 60.0
TOPIC = "in.registration"
DOMAIN = "choria.test"
ADAPTER: dict[str, str | int] = {
    "plugin__choria__adapters": "nodes",
    "plugin__choria__adapter__nodes__type": "choria_streams",
    "plugin__choria__adapter__nodes__ingest__topic": TOPIC,
    "plugin__choria__adapter__nodes__ingest__protocol": "request",
    "plugin__choria__adapter__nodes__stream__topic": "out.%s",
}


async def stored(connection: Client) -> Any:
    """Make a stream for documents, and return what reads it."""
    context = connection.jetstream()
    await context.add_stream(name="NODES", subjects=["out.>"])
    return await context.pull_subscribe("out.>", "reader")


async def arrives(connection: Client, reader: Any, sender: str) -> None:
    """Publish registration data until a document of its sender is in the stream."""
    async with asyncio.timeout(DEADLINE):
        while True:
            await connection.publish(TOPIC, message(sender=sender))
            try:
                found = await reader.fetch(100, timeout=0.5)
            except TimeoutError:
                continue
            if any(each.subject == f"out.{sender}" for each in found):
                return


def counted(broker: NetworkBroker, family: str, role: str = "output") -> float:
    """Add up a metric of adapters."""
    counts = broker._parts.companions.counts().get(family, {})
    return sum(value for (_, each), value in counts.items() if each == role)


async def test_in_operator_mode_they_are_in_the_account_of_the_fleet(tmp_path: Path, authority: Authority) -> None:
    networks = Networks(tmp_path, authority)
    for name in ("federation", "collective"):
        (tmp_path / name).mkdir()
        copy_of_nscs(tmp_path / name)
    store = tmp_path / "federation/accounts/nats/OPS"
    operated: dict[str, str | Path] = {"network__operator_account": "OPS", "network__choria_account": "FLEET"}
    path = networks.broker(
        "collective",
        **operated,
        **ADAPTER,
        network__stream__store=tmp_path / "streams",
        plugin__choria__broker_federation="true",
        plugin__choria__federation__cluster=CLUSTER,
        plugin__choria__federation_middleware_hosts=f"localhost:{networks.federation}",
        plugin__nats__credentials=store / "creds" / "FLEET" / "broker.creds",
    )
    async with (
        NetworkBroker.from_file(networks.broker("federation", **operated)) as federation,
        NetworkBroker.from_file(path) as collective,
        connected(federation, collective) as (clients, servers),
        asyncio.timeout(2 * DEADLINE),
    ):
        await passes(clients, servers)
        await arrives(servers, await stored(servers), "web1")
        while {each.kind: each.state for each in collective.statistics.companions} != {
            "adapter": "running",
            "federation": "running",
        }:
            await asyncio.sleep(0.1)


def with_token(folder: Path, authority: Authority, port: int, **claims: Any) -> Path:
    """Write the configuration of an adapter that runs alone and logs in with a client's token."""
    folder.mkdir()
    own = authority.issue("adapters.example.net", rsa=True)
    now = int(time.time())
    token = {**client(nbf=None, jti=None, **claims), "iat": now - 60, "exp": now + 3600}
    (folder / "token").write_text(mint(token | {"callerid": "up=adapters"}), encoding="ascii")
    (folder / "seed").write_text(HOLDER.private_bytes_raw().hex(), encoding="ascii")
    settings: dict[str, str | int | bool | Path] = {
        "identity": "adapters.example.net",
        "plugin__choria__broker_network": False,
        "plugin__choria__middleware_hosts": f"localhost:{port}",
        **ADAPTER,
        "plugin__security__provider": "choria",
        "plugin__security__choria__certificate": own.certificate,
        "plugin__security__choria__key": own.key,
        "plugin__security__choria__ca": authority.ca,
        "plugin__security__choria__token_file": folder / "token",
        "plugin__security__choria__seed_file": folder / "seed",
        "plugin__security__choria__trusted_signers": hex_of(ORGANIZATION),
    }
    path = configuration(folder, authority, **settings)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("plugin.security.file.")), encoding="utf-8")
    return path


def told(path: Path) -> list[str]:
    """What check tells about the token."""
    return [each.problem for each in examine(path, Overrides()).findings if each.code == "companion-token"]


@pytest.mark.slow
async def test_with_a_token_what_it_does_not_permit_is_told_and_counted(tmp_path: Path, authority: Authority) -> None:
    hub = configuration(
        tmp_path, authority, network__stream__store=tmp_path / "s", network__client_signer_cert=hex_of(ORGANIZATION)
    )
    async with NetworkBroker.from_file(hub) as broker, asyncio.timeout(2 * DEADLINE):
        connection, port = await broker.connect(), broker.ports.client
        reader = await stored(connection)
        good = with_token(tmp_path / "good", authority, port, sub_subjects=[TOPIC], pub_subjects=["out.>"])
        async with NetworkBroker.from_file(good) as alone:
            assert told(good) == []
            await arrives(connection, reader, "web1")
            while not counted(alone, "choria_adapter_published_msgs"):
                await asyncio.sleep(0.1)
            while alone.statistics.companions[0].sentence != "adapter nodes runs":
                await asyncio.sleep(0.1)
        bad = with_token(tmp_path / "bad", authority, port, sub_subjects=[TOPIC], pub_subjects=["other"])
        async with NetworkBroker.from_file(bad) as alone:
            assert told(bad) == ["the token of up=adapters does not permit what adapter nodes needs: publish to out.*"]
            while not (lost := counted(alone, "choria_adapter_errors", role="output")):
                await connection.publish(TOPIC, message(sender="web2"))
                await asyncio.sleep(0.1)
            assert lost <= counted(alone, "choria_adapter_received_msgs", role="input")
            assert counted(alone, "choria_adapter_published_msgs") == 0


async def until_running(config: Path, *, problem: str = "") -> None:
    """Wait until all companions of a program run, or one of them tells of a problem."""
    async with asyncio.timeout(2 * DEADLINE):
        while True:
            try:
                found = (await asyncio.to_thread(ask_status, config)).companions
            except ControlError:
                found = ()
            if problem and any(problem in each.sentence for each in found):
                return
            if not problem and found and all(each.state == "running" for each in found):
                return
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_brokers_are_found_by_name_whenever_the_records_come(tmp_path: Path, authority: Authority) -> None:
    possible()
    networks = Networks(tmp_path, authority)
    zone: dict[str, list[str]] = {}
    settings: dict[str, Any] = {"plugin__choria__use_srv": "true", "plugin__choria__srv_domain": DOMAIN, **ADAPTER}
    settings |= {"plugin__choria__federation_middleware_hosts": "", "plugin__choria__middleware_hosts": ""}
    config = networks.joining("alone", **settings)
    hosts = on_own_machine(tmp_path, "127.0.0.1 localhost\n")
    with name_server(zone, address=NAME_SERVER, port=53) as server:
        async with (
            NetworkBroker.from_file(networks.broker("federation")) as federation,
            NetworkBroker.from_file(networks.broker("collective", network__stream__store=tmp_path / "s")) as collective,
            connected(federation, collective) as (clients, servers),
            started("run", "--config", config, log=tmp_path / "alone.log", within=hosts) as program,
        ):
            await program.told("READY=1")
            await until_running(config, problem="no broker is known")
            zone[f"_x-puppet-mcollective_federation._tcp.{DOMAIN} SRV"] = [f"10 0 {networks.federation} localhost."]
            zone[f"_mcollective-server._tcp.{DOMAIN} SRV"] = [f"10 0 {networks.collective} localhost."]
            await until_running(config)
            await passes(clients, servers)
            await arrives(servers, await stored(servers), "web1")
        asked = list(dict.fromkeys(server.asked))
    for record in ("_mcollective-federation_server", "_x-puppet-mcollective_federation", "_mcollective-server"):
        assert f"{record}._tcp.{DOMAIN} SRV" in asked


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_an_upgrade_goes_on_with_them(tmp_path: Path, authority: Authority) -> None:
    networks = Networks(tmp_path, authority)
    place = placed(
        tmp_path,
        authority,
        **ADAPTER,
        network__stream__store=tmp_path / "s",
        plugin__choria__broker_federation="true",
        plugin__choria__federation__cluster=CLUSTER,
        plugin__choria__federation_middleware_hosts=f"localhost:{networks.federation}",
    )
    program = install(tmp_path / "opt/bin/choria-broker", "1.0.0")
    async with (
        NetworkBroker.from_file(networks.broker("federation")) as federation,
        connected(federation) as (clients,),
        running(place, program) as broker,
    ):
        bob = authority.context(authority.issue("bob.mcollective"))
        async with client_of(f"tls://127.0.0.1:{place.client}", bob) as servers:
            await until_running(place.config)
            await passes(clients, servers)
            reader = await stored(servers)
            await arrives(servers, reader, "web1")
            async with asyncio.timeout(DEADLINE):
                while not all(each.published for each in (await place.document()).companions):
                    await asyncio.sleep(0.1)
            before = {each.kind: each for each in (await place.document()).companions}
            install(program, "2.0.0")
            assert (await place.command("upgrade"))[0] == 0
            assert (await place.status())["version"] == "2.0.0"
            await until_running(place.config)
            after = {each.kind: each for each in (await place.document()).companions}
            assert before.keys() == after.keys() == {"adapter", "federation"}
            for kind, each in after.items():
                assert set(each.processes).isdisjoint(before[kind].processes)
                assert (each.restarts, each.errors) == (0, 0)
                assert each.received >= before[kind].received
                assert each.published >= before[kind].published > 0
            await arrives(servers, reader, "web2")
            await passes(clients, servers)
        assert not [line for line in broker.lines() if line["level"] == "error"]
