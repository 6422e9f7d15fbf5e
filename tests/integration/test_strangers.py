"""Connections that do not log in: how many there may be, and that they take nothing from those that do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import nats.errors
import pytest

from choria_broker.client_end import let_go
from choria_broker.settings.listeners import DOORS, engine_listeners
from support.minting import ORGANIZATION, hex_of, mint, provisioning
from support.nats_socket import ClosedError, wire
from support.testbed import Authority, OrderedClient, client, free_port
from support.topology import Node, Setting, broker, every_listener, logged

CROWD = 60
pytestmark = pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float' is deprecated")


@contextlib.contextmanager
def silent(port: int, count: int, source: str) -> Iterator[list[socket.socket]]:
    """Open connections that say nothing."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            # Who is turned away at once may hear of it while it connects.
            with contextlib.suppress(ConnectionResetError):
                opened.append(
                    stack.enter_context(
                        socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))
                    )
                )
        yield opened


@contextlib.asynccontextmanager
async def over_websocket(port: int, context: ssl.SSLContext) -> AsyncIterator[None]:
    """Log in over a websocket."""
    connection = OrderedClient()
    try:
        await connection.connect(f"wss://127.0.0.1:{port}", tls=context, allow_reconnect=False, connect_timeout=20)
        yield
    finally:
        await let_go(connection)


async def scraped(node: Node, family: str) -> dict[str, float]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{node.statistics}/metrics") as answer,
    ):
        lines = [line for line in (await answer.text()).splitlines() if line.startswith(f"{family}{{")]
    return {line.split('listener="')[1].split('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_a_crowd_on_every_listener_keeps_nobody_out_and_is_told(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    node, websocket = Node("hq.example.net"), free_port()
    context = authority.context(authority.issue("bob.mcollective"))
    settings = every_listener(node, websocket) | {
        "network__max_unauthenticated": 10,
        "network__max_connections": 5,
        "network__auth_timeout": "20s",
        "network__tls_timeout": "20s",
    }
    async with broker(tmp_path, authority, node, **settings) as here:
        ports = [each.port for each in engine_listeners(here.settings.network)]
        assert len(ports) == len(DOORS), "a listener is missing in every_listener"
        with contextlib.ExitStack() as stack:
            for port in ports:
                await asyncio.to_thread(stack.enter_context, silent(port, CROWD, "127.0.0.7"))
            for _ in range(5):
                async with client(here, context), over_websocket(websocket, context):
                    pass
            await logged(caplog, "had too many of them")
            async with asyncio.timeout(60):
                while set(counts := await scraped(node, "choria_broker_turned_away_total")) != set(DOORS) or not all(
                    counts.values()
                ):
                    await asyncio.sleep(0.1)


async def test_strangers_do_not_use_up_max_connections(tmp_path: Path, authority: Authority) -> None:
    node = Node("hq.example.net")
    context = authority.context(authority.issue("bob.mcollective"))
    settings: dict[str, Setting] = {"network__max_connections": 2, "network__auth_timeout": "20s"}
    async with broker(tmp_path, authority, node, **settings) as here:
        with silent(node.client, 30, "127.0.0.7"):
            async with client(here, context), client(here, context):
                with pytest.raises(nats.errors.Error, match="maximum connections exceeded"):
                    async with client(here, context):
                        pytest.fail("a third client is in")
            async with client(here, context):
                pass


async def test_subscriptions_of_a_client_are_bounded(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node("hq.example.net")
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        broker(tmp_path, authority, node, network__max_subscriptions=20),
        wire(node.client, context) as connection,
    ):
        await connection.connect()
        with contextlib.suppress(AssertionError, ClosedError):
            await connection.subscribe(f"a.{number}" for number in range(25))
        assert len(connection.errors) == 5
        assert {error.lower() for error in connection.errors} == {"maximum subscriptions exceeded"}
        await logged(caplog, "maximum subscriptions exceeded")


async def test_a_node_that_waits_for_provisioning_has_a_thousand_subscriptions(
    tmp_path: Path, authority: Authority
) -> None:
    node, now = Node("hq.example.net"), int(time.time())
    claims = provisioning(ou="choria") | {"iat": now - 60, "exp": now + 3600, "nbf": now - 60}
    token = mint(claims)
    settings: dict[str, Setting] = {
        "plugin__security__issuer__names": "choria",
        "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
        "network__provisioning__client_password": "s3cret-and-long",
    }
    async with (
        broker(tmp_path, authority, node, **settings),
        wire(node.client, authority.context()) as connection,
    ):
        await connection.connect(auth_token=token)
        subjects = [f"provisioning.node.n{number}" for number in range(1003)]
        assert not await connection.subscribe(subjects[:1000])
        with pytest.raises(AssertionError, match="aximum subscriptions exceeded"):
            await connection.subscribe(subjects[1000:])
        assert len(connection.errors) == 3
