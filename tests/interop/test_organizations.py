"""Real Choria programs of two organizations that share a broker, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from pathlib import Path

import pytest

from choria_broker.audit.decided import Decision
from choria_broker.broker import NetworkBroker
from support.testbed import Authority, configuration
from support.token_fleet import TokenFleet, decided

pytestmark = pytest.mark.usefixtures("a_user")

NODES = {"acme": ("web.example.net", "mail.example.net"), "globex": ("web.example.net",)}
"""Servers of each organization; one name is used by both."""

DEADLINE = 55.0


def is_in(name: str, account: str, decision: Decision) -> bool:
    """Tell whether a decision let a server into an account."""
    return decision.allowed and (decision.username, decision.account) == (name, account)


async def test_each_organization_reaches_its_own_servers_and_no_others(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    settings: dict[str, str | Path] = {"plugin.security.issuer.names": ", ".join(NODES)}
    fleets = {}
    for organization, nodes in NODES.items():
        folder = tmp_path / organization
        folder.mkdir()
        fleet = TokenFleet(choria, folder, authority.ca)
        issuer = f"plugin.security.issuer.{organization}"
        public = await fleet.keys("org")
        settings |= {f"{issuer}.public": public, f"{issuer}.account": organization.upper()}
        trust = f"plugin.security.issuer.names = {organization}\n{issuer}.public = {public}"
        fleets[organization] = TokenFleet(choria, folder, authority.ca, trust)
        for name in nodes:
            await fleet.server_token(name, "org", "--org", organization)
        await fleet.client_token("bob", "up=bob", "org", "--org", organization, "--fleet-management")
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker,
        contextlib.AsyncExitStack() as servers,
    ):
        for organization, fleet in fleets.items():
            for name in NODES[organization]:
                config = fleet.holder(name, broker.ports.client, *fleet.server_lines())
                await servers.enter_async_context(fleet.server(config))
                await decided(broker, functools.partial(is_in, name, organization.upper()))
        for organization, fleet in fleets.items():
            count = len(NODES[organization])
            config = fleet.holder("bob", broker.ports.client)
            wanted = [f"{count} / {count} hosts"]
            await fleet.choria_until("req", "rpcutil", "ping", "--config", config, wanted=wanted)
