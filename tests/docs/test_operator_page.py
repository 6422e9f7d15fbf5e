"""The first configuration of the page about operator mode, running as it is printed but for addresses and ports."""

from __future__ import annotations

import asyncio
import functools
import shutil

from choria_broker.broker import NetworkBroker
from support.leaflinks import ears, say
from support.pages import ROOT, blocks
from support.stores import Store, credentials
from support.surroundings import Machine
from support.testbed import Authority, client

PAGE = ROOT / "docs/how-to/operator-mode.md"
DEADLINE = 60.0


def printed(machine: Machine) -> NetworkBroker:
    text = next(block.text for block in blocks(PAGE) if block.language == "ini")
    more = "plugin.choria.network.listen_address = 127.0.0.1\nplugin.choria.network.client_port = 0\n"
    machine.config.write_text(machine.adapt(text) + more, encoding="utf-8")
    return NetworkBroker.from_file(machine.config)


async def test_the_page_serves_tenants_and_streams(machine: Machine) -> None:
    authority = Authority(machine.config.parent / "ssl")
    authority.issue("broker.example.net", "127.0.0.1")
    login = functools.partial(credentials, machine.config.parent / "accounts/nats/OPS")
    async with (
        asyncio.timeout(DEADLINE),
        printed(machine) as broker,
        client(broker, authority.context(), **login("ACME")) as acme,
        client(broker, authority.context(), **login("GLOBEX")) as globex,
        client(broker, authority.context(), **login("FLEET")) as fleet,
    ):
        heard = await ears(globex)
        await say(acme, "of acme", "mcollective.node.web1")
        assert await heard.of("of acme") == set()
        while "CHORIA_EVENTS" not in [stream.config.name for stream in await fleet.jetstream().streams_info()]:
            await asyncio.sleep(0.05)


async def test_the_page_reloads(machine: Machine) -> None:
    shutil.rmtree(machine.config.parent / "accounts")
    authority = Authority(machine.config.parent / "ssl")
    authority.issue("broker.example.net", "127.0.0.1")
    store = Store(machine.config.parent, "OPS", "ACME", "FLEET")
    async with asyncio.timeout(DEADLINE), printed(machine) as broker:
        store.account("NEW")
        await broker.reload()
        async with client(broker, authority.context(), **store.login("NEW")) as new:
            await ears(new)
