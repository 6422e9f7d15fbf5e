"""The bridge for the broker's own connections: nobody else of this machine gets there, and so keeps nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from support import topology
from support.stores import copy_of_nscs
from support.testbed import Authority, bridge, configuration, free_port, settled
from support.topology import Node, every_listener

DEADLINE = 60.0
LOGINS = 30
PLACES = 50
STRANGERS = 600
"""Connections of strangers that are held, twice as many as the listeners have places for."""

_NOBODY = 65534


@contextlib.contextmanager
def storm(ports: Sequence[int], private: Path) -> Iterator[dict[str, int]]:
    """As another user of this machine, where this one is root, connect to ports and to a socket as fast as one can.

    Yields:
        How many connections were made and how often the socket was refused, so far.
    """
    seen, over = {"made": 0, "refused": 0}, threading.Event()

    def rage() -> None:
        if os.geteuid() == 0:
            ctypes.CDLL(None).setfsuid(_NOBODY)  # Of this thread only: its rights to files are nobody's.
        held: list[socket.socket] = []
        while not over.is_set():
            for port in ports:
                with contextlib.suppress(OSError):
                    held.append(socket.create_connection(("127.0.0.1", port), 1))
                    held[-1].send((b"", b"CONNECT {", b"PING\r\n", b"\n" * 9000)[len(held) % 4])
                    seen["made"] += 1
            if os.geteuid() == 0:
                with socket.socket(socket.AF_UNIX) as one:
                    try:
                        one.connect(str(private))
                    except PermissionError:
                        seen["refused"] += 1
            while len(held) > STRANGERS:
                held.pop(0).close()
        for each in held:
            each.close()

    thread = threading.Thread(target=rage)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("operator", [False, True], ids=["secret", "operator"])
async def test_a_storm_of_strangers_of_this_machine_closes_no_good_login(
    tmp_path: Path, authority: Authority, operator: bool
) -> None:
    node, websocket = Node("hq.example.net"), free_port()
    # A login is to fail for strangers, and not because this process, whose loop shares a core with them, takes seconds.
    settings = every_listener(node, websocket)
    settings |= {"network__max_unauthenticated": PLACES, "network__auth_timeout": "60s"}
    if operator:
        (tmp_path / node.identity).mkdir()
        copy_of_nscs(tmp_path / node.identity)
        settings["network__operator_account"] = "OPS"
    ports = (node.client, websocket, node.leafnode, node.peer, node.gateway, node.statistics)
    async with (
        topology.broker(tmp_path, authority, node, **settings) as broker,
        contextlib.AsyncExitStack() as stack,
    ):
        private = Path(bridge(broker)).parent.readlink() / "bridge"
        assert private.is_socket()
        assert private.parent.stat().st_mode & 0o077 == 0
        with storm(ports, private) as seen:
            async with asyncio.timeout(DEADLINE):
                while seen["made"] < STRANGERS:
                    await asyncio.sleep(0.05)
                made: list[Client] = []
                for _ in range(LOGINS):
                    made.append(await broker.connect("ACME" if operator else "choria", allow_reconnect=False))
                    stack.push_async_callback(made[-1].close)
                    await settled(made[-1])
                for each in made:
                    await settled(each)
        assert seen["refused"] or os.geteuid() != 0


async def test_the_brokers_own_connections_come_back(tmp_path: Path, authority: Authority) -> None:
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        lost, back = asyncio.Event(), asyncio.Event()

        async def disconnected() -> None:
            lost.set()

        async def reconnected() -> None:
            back.set()

        inside = await broker.connect(
            disconnected_cb=disconnected, reconnected_cb=reconnected, reconnect_time_wait=0.05
        )
        assert inside._transport
        inside._transport.close()  # type: ignore[no-untyped-call]
        async with asyncio.timeout(DEADLINE):
            await lost.wait()
            await back.wait()
        await settled(inside)
        await inside.close()
