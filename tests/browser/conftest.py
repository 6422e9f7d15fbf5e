"""A busy broker in a process of its own, and a browser in front of its dashboard."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import ssl
import time
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from support.chromium import Tab, browser, chromium_program
from support.command import Program, started
from support.minting import ORGANIZATION, hex_of, ksuid, mint
from support.minting import client as client_claims
from support.minting import server as server_claims
from support.multitude import multitude
from support.testbed import Authority, configuration, free_port

CONNECTIONS = int(os.environ.get("CONNECTIONS", "2000"))
HOSTILE = "<img src=x onerror=document.body.remove()>"
HOSTILE_SERVER = "<img/src=x/onerror=document.body.remove()//"
"""Tokens of servers have neither blanks nor wildcards in their names."""


@dataclasses.dataclass
class Busy:
    """A broker with many connections, and strangers who are refused again and again.

    Attributes:
        url: of its dashboard.
        program: its process.
        refused: how many strangers were refused.
        client_port, context: where clients connect, and how.
        knocking: set while strangers come.
    """

    url: str
    program: Program
    client_port: int
    context: ssl.SSLContext
    refused: int = 0
    knocking: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    def worked(self) -> float:
        """Tell for how many seconds the broker and its engine have used a core."""
        own = psutil.Process(self.program.pid)
        return sum(sum(each.cpu_times()[:2]) for each in (own, *own.children(recursive=True)))

    async def knock(self) -> None:
        """Be refused, in one way after another."""
        bad = ("", f"{token('up=x')}x", mint({**client_claims(caller=HOSTILE), "exp": 1, "callerid": HOSTILE}))
        while await self.knocking.wait():
            source = (f"127.0.{3 + self.refused % 3}.{2 + self.refused % 7}", 0)
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.client_port, local_addr=source)
                await reader.readline()
                await writer.start_tls(self.context, server_hostname="127.0.0.1")
                told = {"verbose": False, "name": HOSTILE, "auth_token": bad[self.refused % len(bad)], "sig": "x"}
                writer.write(f"CONNECT {json.dumps(told)}\r\nPING\r\n".encode())
                await reader.read(1000)
                writer.close()
            self.refused += 1
            await asyncio.sleep(0.1)


def token(caller: str) -> str:
    """Make a token of a client that may log in now."""
    now = int(time.time())
    claims = client_claims(permissions={"org_admin": True}, nbf=None, jti=ksuid(now))
    return mint({**claims, "callerid": caller, "iat": now - 60, "exp": now + 86_400})


def server_token(identity: str) -> str:
    """Make a token of a server that may log in now."""
    now = int(time.time())
    return mint({**server_claims(nbf=None, jti=ksuid(now)), "identity": identity, "iat": now - 60, "exp": now + 86_400})


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
