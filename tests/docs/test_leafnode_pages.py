"""The configurations of the pages about leafnodes, running as they are printed but for addresses and ports."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from support.leaflinks import meet
from support.nats_server import OperatorHub
from support.pages import ROOT
from support.surroundings import Machine
from support.testbed import Authority, client, free_port

PAGES = ROOT / "docs/how-to"
DEADLINE = 60.0


def printed(machine: Machine, page: str, number: int, port: int) -> NetworkBroker:
    """Make the broker of a page's configuration, the hub's leafnode port being another."""
    # Certificates name the host, which is this one here.
    places = {"broker.example.net:7422": f"localhost:{port}", "= 7422": f"= {port}"}
    return NetworkBroker.from_file(machine.printed(PAGES / page, number, places))


@pytest.mark.usefixtures("local")
async def test_headquarters_and_site_link(machine: Machine) -> None:
    port = free_port()
    async with (
        asyncio.timeout(DEADLINE),
        printed(machine, "leafnodes.md", 0, port) as above,
        printed(machine, "leafnodes.md", 1, port) as below,
    ):
        here, there = await above.connect(), await below.connect()
        await meet(here, there)
        (decision,) = [each for each in above.audit.recent if each.kind == "leafnode"]
        assert decision.common_name == "broker1.example.net"
        for connection in (here, there):
            await connection.close()


async def test_devices_at_the_edge_reach_the_account_of_the_credentials(
    tmp_path: Path, machine: Machine, local: Authority
) -> None:
    above = OperatorHub(tmp_path, local)
    above.operator.user("OPS").credentials(machine.config.parent / "hq.creds")
    async with (
        asyncio.timeout(DEADLINE),
        above.running(),
        printed(machine, "edge.md", 0, above.listener) as edge,
        above.client("OPS") as secured,
        client(edge, None) as device,
    ):
        assert edge.audit.recent[-1].account == "DEVICES"
        await meet(secured, device)
