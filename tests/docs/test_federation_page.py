"""The configurations of the page about federation, running as they are printed but for addresses and ports."""

from __future__ import annotations

import asyncio
from pathlib import Path

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from support.federating import passes
from support.pages import ROOT
from support.surroundings import Machine
from support.testbed import Authority, configuration, free_port

DEADLINE = 100.0
PAGE = ROOT / "docs/how-to/federation.md"


async def test_beside_the_network_broker(tmp_path: Path, machine: Machine, local: Authority) -> None:
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(configuration(tmp_path, local)) as federation:
        config = machine.printed(PAGE, 0, {"broker.example.net:4222": f"localhost:{federation.ports.client}"})
        async with NetworkBroker.from_file(config) as collective:
            here, there = await federation.connect(), await collective.connect()
            await passes(here, there)
            await let_go(here)
            await let_go(there)


async def test_on_a_machine_of_its_own(tmp_path: Path, machine: Machine, local: Authority) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    networks = [NetworkBroker.from_file(configuration(folder, local)) for folder in folders]
    async with asyncio.timeout(DEADLINE), networks[0] as federation, networks[1] as collective:
        places = {
            "broker.example.net:4222": f"localhost:{federation.ports.client}",
            "london1.example.net:4222, london2.example.net:4222": f"localhost:{collective.ports.client}",
            "8222": str(free_port()),
        }
        async with NetworkBroker.from_file(machine.printed(PAGE, 1, places)):
            here, there = await federation.connect(), await collective.connect()
            await passes(here, there)
            await let_go(here)
            await let_go(there)
