"""The original broker, go-choria's, as another member of a network, and a fleet spread over both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from support.fleet import Fleet
from support.testbed import Authority
from support.topology import Node, Setting, configure

DEADLINE = 60.0


@contextlib.asynccontextmanager
async def old_broker(
    program: Path, folder: Path, authority: Authority, node: Node, **settings: Setting
) -> AsyncIterator[None]:
    """Run a broker of go-choria; it listens on entry.

    Args:
        program: the choria program.
        folder: where its configuration and its log go.
        authority: issues its certificate.
        node: its identity and ports.
        settings: further ones, as ``topology.configure`` takes them.
    """
    log = folder / f"{node.identity}.log"
    config = configure(folder, authority, node, logfile=log, **settings)
    process = await asyncio.create_subprocess_exec(
        program,
        "broker",
        "run",
        "--config",
        config,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(DEADLINE):
            while not (log.exists() and "Server is ready" in log.read_text(encoding="utf-8")):
                await asyncio.sleep(0.05)  # A file of another program: there is no event to wait for.
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def answers_cross(fleet: Fleet, *brokers: Node) -> None:
    """Run a server on each broker, and ask from a client of each until the servers of all answer."""
    names = [f"server{number}.example.net" for number, _ in enumerate(brokers, 1)]
    async with contextlib.AsyncExitStack() as servers:
        for name, node in zip(names, brokers, strict=True):
            await servers.enter_async_context(fleet.server(node.client, name))
        for number, node in enumerate(brokers, 1):
            client = fleet.client(node.client, f"bob{number}.mcollective")
            hosts = f"{len(names)} / {len(names)} hosts"
            await fleet.run_until("ping", "--config", client, wanted=names)
            await fleet.run_until("req", "rpcutil", "ping", "--config", client, wanted=[hosts])
