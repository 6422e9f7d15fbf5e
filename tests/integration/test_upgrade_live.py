"""Upgrades of a broker that has every kind of company, and upgrades that go wrong on the way."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from choria_broker.control.client import ask_drain
from choria_broker.control.protocol import DrainRequest
from choria_broker.status.drains import DRAINING
from support.busy import busy
from support.command import started
from support.leaflinks import remote, spoke
from support.minting import ORGANIZATION, by_token, hex_of
from support.testbed import Authority, client, free_port
from support.topology import Node, Setting, broker, carried, client_of, configure, formed, leafnodes, nodes, page, peers
from support.upgrading import Package, Place, asking, connected, install, placed, running
from support.websockets import websocket_client

pytestmark = [
    pytest.mark.timeout(180),  # The program starts several times.
    pytest.mark.filterwarnings(
        "ignore:parameter 'timeout' of type 'float':DeprecationWarning"  # nats-py asks aiohttp in the old way.
    ),
]

OFTEN = {"WATCHDOG_USEC": "3000000"}
DEADLINE = 40.0
PATIENT = {"connect_timeout": 30}
STAYS = PATIENT | {"name": "stays"}


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(DEADLINE):
        while not true():
            await asyncio.sleep(0.02)


async def company(node: Node) -> Any:
    """Tell which links and connections a node has, by what is theirs alone."""
    routes = (await page(node, "/routez"))["routes"]
    leafs = (await page(node, "/leafz"))["leafs"]
    connections = (await page(node, "/connz"))["connections"]
    return (
        {(each["rid"], each["start"]) for each in routes},
        {(each["id"], each["name"]) for each in leafs},
        {each["cid"] for each in connections if each.get("name") == "stays"},
    )


async def nothing_waits(place: Place, version: str) -> None:
    """See that a version serves, and that the engine has its configuration, as it was, and takes it once more."""
    status = await place.status()
    assert (status["version"], status["pending_restart"]) == (version, ())
    assert "keeps the configuration from before the upgrade" not in place.log.read_text(encoding="utf-8")
    code, _, error = await place.command("reload")
    assert (code, error) == (0, "")


async def upgraded_while_asked(place: Place, heard: list[str], version: str) -> None:
    """Upgrade while pages and commands ask, and see what the service manager hears."""
    async with asking(place) as asked:
        await until(lambda: asked.pages and asked.commands)
        heard.clear()
        await upgraded(place, version)
        await until(lambda: "READY=1" in heard)
        assert any(each.startswith("RELOADING=1\nMONOTONIC_USEC=") for each in heard[: heard.index("READY=1")])
        await until(lambda: "WATCHDOG=1" in "".join(heard[heard.index("READY=1") :]))


async def upgraded(place: Place, version: str) -> None:
    """Upgrade to what is installed by now."""
    code, out, error = await place.command("upgrade")
    assert (code, error, out.split(" has replaced")[0]) == (0, "", f"Version {version}")


async def upgraded_in_a_drain(place: Place, config: Path, version: str) -> int:
    """Begin a drain and upgrade; the drain goes on as it was begun, with as many connections left as is returned."""
    begun = await asyncio.to_thread(ask_drain, config, DrainRequest("begin", 3600))
    await upgraded(place, version)
    left = await asyncio.to_thread(ask_drain, config, DrainRequest())
    assert (left.state, left.by, left.since, left.over) == (DRAINING, begun.by, begun.since, 3600)
    return left.left


async def taken_back(place: Place, node: Node) -> None:
    """See that nobody gets in during a drain, and take it back."""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", node.client)
    assert (await place.command("drain", "--cancel"))[0] == 0


async def meet(some: Sequence[Client], others: Sequence[Client]) -> None:
    """Carry messages between each of some and each of others, both ways."""
    for one, other in itertools.product(some, others):
        await carried(one, other)
        await carried(other, one)


async def is_remembered(node: Node, acts: Sequence[str]) -> None:
    """See that the dashboard remembers what was done before the upgrades, and the time before them."""
    shown = await page(node, "/ui/acts.json")
    assert [each["act"] for each in reversed(shown["acts"])] == acts
    drawn = await page(node, "/ui/history.json")
    assert drawn["times"][0] < shown["acts"][-1]["time"]


@pytest.mark.slow
async def test_a_member_of_a_cluster_keeps_everybody_and_a_drain(tmp_path: Path, authority: Authority) -> None:
    one, two = nodes(2)
    site, websocket, log = Node("site.example.net"), free_port(), tmp_path / "broker.log"
    every = peers(one, two)
    settings: dict[str, Setting] = {
        "network__leafnode_port": one.leafnode,
        "network__websocket_port": websocket,
        "network__client_signer_cert": hex_of(ORGANIZATION),
        "logfile": log,
    }
    config = configure(tmp_path, authority, one, **every, **settings)
    place, package = Place(config, log, one.client, one.statistics), Package.copied(tmp_path / "site-packages")
    bob = authority.context(authority.issue("bob.mcollective"))
    environment = {"PYTHONPATH": str(package.path)} | OFTEN
    async with (
        broker(tmp_path, authority, two, **every) as other,
        running(place, Path("choria_broker"), (sys.executable, "-m"), **environment) as program,
        program.heard() as heard,
        spoke(tmp_path, authority, site, **remote("HQ", one.leafnode)) as below,
        websocket_client(websocket, bob, **STAYS) as web,
        client_of(one, bob, **STAYS) as here,
        client(other, bob, **PATIENT) as there,
        client(below, bob, **PATIENT) as far,
    ):
        await formed(one, two)
        await leafnodes(one, 1)
        await meet((web,), (there, far))
        before = await company(one)

        package.becomes("7.7.7")
        async with busy(one.client, authority.context(), connections=8, rate=5, **by_token()) as crowd:
            await upgraded_while_asked(place, heard, "7.7.7")
        assert (crowd.dropped, crowd.refused) == (0, [])
        await nothing_waits(place, "7.7.7")
        assert await company(one) == before
        await meet((web, here), (there, far))

        package.becomes("8.8.8")
        left = await upgraded_in_a_drain(place, config, "8.8.8")
        assert left == 3  # The websocket, the client and the leafnode.
        assert await company(one) == before
        await taken_back(place, one)
        async with client_of(one, bob, **PATIENT) as late:
            await carried(late, far)
        await program.acted("drain --cancel")
        acts = [str(line["act"]) for line in program.lines() if "act" in line]
        assert acts == ["upgrade", "reload", "upgrade", "drain", "drain --cancel"]
        await is_remembered(one, acts)
        await carried(web, there)


DIES = """
if TRIED:
    import choria_broker.service.stand_in as life
    told = life.send
    def tells(channel, message, *more):
        told(channel, message, *more)
        if isinstance(message, life.Serving):
            os.kill(os.getpid(), 9)
    life.send = tells
"""
"""A stand-in that is killed when it has begun to answer the engine."""

STOPPED = 'os.kill(os.getpid(), 15) if not TRIED and "CHORIA_BROKER_LEFT" in os.environ else None'
"""Somebody stops the broker while its process loads the program."""


@pytest.mark.slow
async def test_a_killed_stand_in_drops_nobody_and_a_stop_on_the_way_is_heeded(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, pid = tmp_path / "run", tmp_path / "pid"
    run.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(run))
    place = placed(tmp_path, authority, network__drain_on_stop="100ms")
    program = install(tmp_path / "opt/bin/choria-broker", "1.0.0")
    async with started("run", "--config", place.config, "--pid", pid, log=place.log, program=program) as broker:
        await broker.told("READY=1")
        async with connected(place, authority) as stays:
            install(program, "2.0.0", DIES)
            code, out, error = await place.command("upgrade")
            assert (code, error, out.split(" has replaced")[0]) == (0, "", "Version 2.0.0")
            await broker.logs("its decisions are not counted")
            await stays.flush()
            async with connected(place, authority) as late:
                await late.flush()
        install(program, "3.0.0", STOPPED)
        broker.send(signal.SIGUSR2)
        assert await broker.ended(120) == 0
        said = [line["msg"] for line in broker.lines()]
        assert "Shutting down on terminated" in said
        assert "Choria Network Broker shut down" in said
        assert any(str(each).startswith("Draining over") for each in said)
        assert (pid.exists(), list(run.iterdir())) == (False, [])
