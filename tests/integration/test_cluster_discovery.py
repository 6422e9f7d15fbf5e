"""Peers found in SRV records, asked of a real name server."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import Loaded, load
from choria_broker.config.surroundings.discovery import Discovery, lookup_srv
from choria_broker.values import replace
from support.nameserver import NameServer, name_server
from support.own_machine import NAME_SERVER, on_own_machine, possible
from support.testbed import Authority, client
from support.topology import Node, Setting, carried, client_of, configure, formed, nodes, peers, running

DOMAIN = "choria.test"
RECORD = f"_mcollective-broker._tcp.{DOMAIN}"
BY_SRV: dict[str, Setting] = {"plugin__choria__use_srv": True, "plugin__choria__srv_domain": DOMAIN}


def loaded(config: Path, server: NameServer) -> Loaded:
    """Read a configuration, asking this name server for SRV records."""
    return load(config, discovery=Discovery(srv=functools.partial(lookup_srv, resolver=server.resolver())))


@pytest.mark.parametrize("size", [2, 3, 5])
async def test_a_cluster_forms_from_srv_records(tmp_path: Path, authority: Authority, size: int) -> None:
    members = nodes(size)
    bob = authority.context(authority.issue("bob.mcollective"))
    with name_server({f"{RECORD} SRV": [f"10 0 {member.peer} localhost." for member in members]}) as server:
        brokers = []
        for member in members:
            config = configure(tmp_path, authority, member, network__peer_port=member.peer, **BY_SRV)
            found = loaded(config, server)
            assert found.settings is not None
            assert found.settings.network.cluster.source == RECORD
            brokers.append(NetworkBroker(found.settings, findings=found.findings))
        assert server.asked == [f"{RECORD} SRV"] * size
        async with running(brokers), client(brokers[0], bob) as here, client(brokers[-1], bob) as there:
            await formed(*members)
            await carried(here, there)


async def test_srv_records_beat_the_setting(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2)
    with name_server({f"{RECORD} SRV": [f"10 0 {member.peer} localhost." for member in members]}) as server:
        brokers = []
        for member in members:
            config = configure(tmp_path, authority, member, network__peers="localhost:1, localhost:2", **BY_SRV)
            found = loaded(config, server)
            assert found.settings is not None
            assert "srv-overrides-peers" in [finding.code for finding in found.findings]
            brokers.append(NetworkBroker(found.settings, findings=found.findings))
        async with running(brokers):
            await formed(*members)


BOUND = 40.0
"""Seconds: five for discovery, the others for a busy machine to start two programs."""


@pytest.fixture(scope="module")
def own_resolver() -> None:
    """Skip where programs cannot have a name server of their own."""
    possible()


@contextlib.asynccontextmanager
async def running_on_own_machine(config: Path, hosts: str) -> AsyncIterator[None]:
    """Run ``choria-broker`` where ``/etc/resolv.conf`` names our server and ``/etc/hosts`` has another text."""
    program = Path(sys.executable).parent / "choria-broker"
    command = (*on_own_machine(config.parent, hosts), program, "run", "--config", config)
    process = await asyncio.create_subprocess_exec(*command)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def member(folder: Path, authority: Authority, node: Node, **settings: Setting) -> Path:
    """Write the configuration of a member whose certificate has its own name only, and the address for clients."""
    node = replace(node, names=("127.0.0.1",))
    usual: dict[str, Setting] = {"network__peer_port": node.peer, "logfile": folder / f"{node.identity}.log"}
    return configure(folder, authority, node, **(usual | settings))


@pytest.mark.usefixtures("own_resolver")
async def test_programs_find_each_other_by_name_in_dns(tmp_path: Path, authority: Authority) -> None:
    members = nodes(3, site=DOMAIN)
    zone = {f"{node.identity} A": ["127.0.0.1"] for node in members}
    zone[f"{RECORD} SRV"] = [f"10 0 {node.peer} {node.identity}." for node in members]
    bob = authority.context(authority.issue("bob.mcollective"))
    with name_server(zone, address=NAME_SERVER, port=53) as server:
        async with contextlib.AsyncExitStack() as stack:
            for node in members:
                config = member(tmp_path, authority, node, plugin__choria__use_srv=True)
                await stack.enter_async_context(running_on_own_machine(config, ""))
            await formed(*members)
            here = await stack.enter_async_context(client_of(members[0], bob))
            there = await stack.enter_async_context(client_of(members[2], bob))
            await carried(here, there)
        assert f"{RECORD} SRV" in server.asked
    for node in members:
        text = (tmp_path / f"{node.identity}.log").read_text(encoding="utf-8")
        assert f"found the SRV record {RECORD}" in text
        assert "handshake error" not in text


@pytest.mark.slow
@pytest.mark.usefixtures("own_resolver")
async def test_a_silent_name_server_holds_a_program_up_for_a_bounded_time(tmp_path: Path, authority: Authority) -> None:
    members = tuple(replace(node, host=node.identity) for node in nodes(2, site=DOMAIN))
    hosts = "".join(f"127.0.0.1 {node.identity}\n" for node in members)
    with name_server({}, silent=True, address=NAME_SERVER, port=53) as server:
        begin = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            for node in members:
                config = member(tmp_path, authority, node, plugin__choria__use_srv=True, **peers(*members))
                await stack.enter_async_context(running_on_own_machine(config, hosts))
            await formed(*members)
        assert time.monotonic() - begin < BOUND
        assert server.asked
    text = (tmp_path / f"{members[0].identity}.log").read_text(encoding="utf-8")
    assert "did not answer in time" in text
    assert "cannot be resolved" not in text
