"""A busy broker in a process of its own, and a browser in front of its dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.besieged import CONNECTIONS, HOSTILE, HOSTILE_SERVER, Busy, server_token, token
from support.chromium import Tab, browser, chromium_program
from support.command import started
from support.minting import ORGANIZATION, hex_of
from support.multitude import multitude
from support.testbed import Authority, configuration, free_port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def busy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Busy]:
    """Run the broker, let everybody in, and have strangers knock."""
    chromium_program()
    folder = tmp_path_factory.mktemp("busy")
    authority, port, client_port = Authority(folder), free_port(), free_port()
    path = configuration(
        folder,
        authority,
        logfile=folder / "broker.log",
        plugin__choria__stats_port=port,
        network__client_port=client_port,
        network__stream__store=folder / "store",
        plugin__security__issuer__names="choria",
        plugin__security__issuer__choria__public=hex_of(ORGANIZATION),
    )
    async with (
        started("run", "--config", path, log=folder / "broker.log") as program,
        multitude(client_port, authority.ca) as crowd,
    ):
        await program.told("READY=1")
        names = CONNECTIONS // 20
        servers = {server_token(f"web{number}.example.net"): 19 for number in range(names)}
        callers = {token(f"up=user{number}"): 1 for number in range(names)}
        await crowd.enter({**servers, **callers, token(HOSTILE): 1, server_token(HOSTILE_SERVER): 1})
        found = Busy(f"http://127.0.0.1:{port}/ui/", program, client_port, authority.context())
        async with asyncio.TaskGroup() as tasks:
            knocking = tasks.create_task(found.knock())
            found.knocking.set()
            yield found
            knocking.cancel()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tab]:
    """Run the browser."""
    async with browser(chromium_program(), tmp_path_factory.mktemp("browser")) as page:
        yield page
