"""Two networks and what joins them: configurations that this broker and go-choria both read."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from support.testbed import Authority, configuration, free_port, settled
from support.transports import message

CLUSTER = "london"
DEADLINE = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Networks:
    """Where the two networks are.

    Attributes:
        folder: for configurations and logs.
        authority: the CA of all.
        federation, collective: client ports of their brokers, the same as long as the test lasts.
    """

    folder: Path
    authority: Authority
    federation: int = dataclasses.field(default_factory=free_port)
    collective: int = dataclasses.field(default_factory=free_port)

    def broker(self, name: str, **settings: str | int | bool | Path) -> Path:
        """Write the configuration of the network broker of ``federation`` or ``collective``."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        port = self.federation if name == "federation" else self.collective
        own: dict[str, str | int | bool | Path] = {"identity": f"{name}.example.net", "network__client_port": port}
        return configuration(folder, self.authority, **(own | settings))

    def joining(self, name: str, *, stats_port: int = 0, **settings: str | int) -> Path:
        """Write the configuration of a federation broker that runs alone.

        Settings are written in full with ``__`` for ``.``.
        """
        own = self.authority.issue(f"{name}.example.net", rsa=True)
        values: dict[str, object] = {
            "identity": f"{name}.example.net",
            "logfile": self.folder / f"{name}.log",
            "loglevel": "info",
            "plugin.choria.use_srv": "false",
            "plugin.choria.broker_federation": "true",
            "plugin.choria.federation.cluster": CLUSTER,
            "plugin.choria.federation_middleware_hosts": f"localhost:{self.federation}",
            "plugin.choria.middleware_hosts": f"localhost:{self.collective}",
            "plugin.choria.stats_port": stats_port,
            "plugin.security.provider": "file",
            "plugin.security.file.certificate": own.certificate,
            "plugin.security.file.key": own.key,
            "plugin.security.file.ca": self.authority.ca,
        }
        values |= {key.replace("__", "."): value for key, value in settings.items()}
        path = self.folder / f"{name}.conf"
        path.write_text("".join(f"{key} = {value}\n" for key, value in values.items()), encoding="utf-8")
        return path

    def client(self, name: str = "bob.mcollective") -> Path:
        """Write the configuration of a client that uses the federation."""
        own = self.authority.issue(name, rsa=True)
        path = self.folder / f"{name}.conf"
        path.write_text(
            f"identity = {name}\n"
            "collectives = mcollective\n"
            "main_collective = mcollective\n"
            "loglevel = warn\n"
            "plugin.choria.use_srv = false\n"
            f"plugin.choria.federation.collectives = {CLUSTER}\n"
            f"plugin.choria.federation_middleware_hosts = nats://127.0.0.1:{self.federation}\n"
            "plugin.security.provider = file\n"
            f"plugin.security.file.certificate = {own.certificate}\n"
            f"plugin.security.file.key = {own.key}\n"
            f"plugin.security.file.ca = {self.authority.ca}\n",
            encoding="utf-8",
        )
        return path


@dataclasses.dataclass(frozen=True, slots=True)
class Joining:
    """A federation broker that runs.

    Attributes:
        process: its process.
        stats_port: of its metrics.
    """

    process: asyncio.subprocess.Process
    stats_port: int

    async def published(self) -> float:
        """Return how many messages it has published; 0 while its page cannot be read."""
        return await published(self.stats_port)

    async def killed(self) -> None:
        """Kill it."""
        self.process.kill()
        await self.process.wait()


async def published(port: int) -> float:
    """Return how many messages a federation broker has published, by its metrics; 0 while they cannot be read."""
    page = await metrics(port)
    return sum(float(value) for value in re.findall(r"(?m)^choria_federation_published_msgs\{.*\} (.*)$", page))


async def metrics(port: int) -> str:
    """Return the page of metrics of a broker; empty while it cannot be read."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://127.0.0.1:{port}/choria/prometheus") as answer,
        ):
            return await answer.text()
    except aiohttp.ClientError:
        return ""


@contextlib.asynccontextmanager
async def joined(networks: Networks, name: str, program: Path | None = None) -> AsyncIterator[Joining]:
    """Run a federation broker alone; of go-choria, where its program is given."""
    port = free_port()
    config = networks.joining(name, stats_port=port)
    ours = Path(sys.executable).parent / "choria-broker"
    command: list[str | Path] = [program, "broker", "run"] if program else [ours, "run"]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--config",
        config,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Joining(process, port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(DEADLINE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def passes(clients: Client, servers: Client, cluster: str = CLUSTER) -> None:
    """Send requests until one arrives at its target, then answer it, until the answer arrives."""
    requests, replies = (f"choria.federation.{cluster}.{side}" for side in ("federation", "collective"))
    targets, answers = (
        await servers.subscribe("mcollective.node.web1"),
        await clients.subscribe("mcollective.reply.bob"),
    )
    await settled(clients)
    await settled(servers)
    request = message({"reply-to": "mcollective.reply.bob", "federation": {"req": "1", "target": [targets.subject]}})
    received = json.loads(await arriving(clients, requests, request, targets))
    assert received["headers"]["reply-to"] == replies
    reply = message({name: received["headers"][name] for name in ("seen-by", "federation")})
    arrived = json.loads(await arriving(servers, replies, reply, answers))
    assert len(arrived["headers"]["seen-by"]) == 2


async def arriving(source: Client, subject: str, data: bytes, subscription: Subscription) -> bytes:
    """Publish until something arrives; nobody is told when a federation broker is connected."""
    while True:
        await source.publish(subject, data)
        with contextlib.suppress(TimeoutError):
            return (await subscription.next_msg(timeout=0.5)).data


@contextlib.asynccontextmanager
async def connected(*brokers: NetworkBroker) -> AsyncIterator[list[Client]]:
    """Connect to each broker."""
    clients = [await broker.connect() for broker in brokers]
    try:
        yield clients
    finally:
        for client in clients:
            await let_go(client)
