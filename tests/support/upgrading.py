"""A broker that goes on with other versions of its program, and what it is asked meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from click.testing import CliRunner
from nats.aio.client import Client

import choria_broker
from choria_broker.cli import main
from choria_broker.client_end import let_go
from choria_broker.control.client import ControlError, ask_status
from choria_broker.status.document import Status
from support.command import Program, started
from support.testbed import Authority, OrderedClient, configuration, free_port

PROGRAM = Path(sys.executable).parent / "choria-broker"


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A broker's configuration and where it is reached."""

    config: Path
    log: Path
    client: int
    statistics: int

    async def command(self, *words: str) -> tuple[int, str, str]:
        """Run a command about the broker; its exit status and output."""
        arguments = [words[0], "--config", str(self.config), *words[1:]]
        done = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        return done.exit_code, done.stdout, done.stderr

    async def status(self) -> dict[str, Any]:
        """Ask the broker how it is."""
        found: dict[str, Any] = msgspec.to_builtins(await self.document())
        return found

    async def document(self) -> Status:
        """Ask the broker how it is, for as long as the test may take: on a loaded machine a program starts slowly."""
        while True:
            try:
                return await asyncio.to_thread(ask_status, self.config)
            except ControlError as error:
                if "did not answer within" not in str(error):
                    raise

    async def metrics(self) -> dict[str, float]:
        """Read the broker's metrics."""
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            text = await (await session.get(f"http://127.0.0.1:{self.statistics}/metrics")).text()
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(number) for name, _, number in lines}


def placed(folder: Path, authority: Authority, **settings: str | int | Path) -> Place:
    """Write a configuration."""
    client, statistics, log = free_port(), free_port(), folder / "broker.log"
    config = configuration(
        folder,
        authority,
        logfile=log,
        network__client_port=client,
        plugin__choria__stats_port=statistics,
        **settings,
    )
    return Place(config, log, client, statistics)


@contextlib.asynccontextmanager
async def running(
    place: Place, path: Path = PROGRAM, within: Sequence[str | Path] = (), **environment: str
) -> AsyncIterator[Program]:
    """Run a program on the configuration, and stop it in order."""
    words = ("run", "--config", place.config)
    async with started(*words, log=place.log, environment=environment, program=path, within=within) as program:
        await program.told("READY=1")
        yield program
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


@contextlib.asynccontextmanager
async def connected(place: Place, authority: Authority) -> AsyncIterator[Client]:
    """Connect a client that has to stay."""
    client, lost = OrderedClient(), asyncio.Event()

    async def closed() -> None:
        lost.set()

    context = authority.context(authority.issue("bob.mcollective"))
    await client.connect(
        f"tls://127.0.0.1:{place.client}", tls=context, allow_reconnect=False, connect_timeout=20, closed_cb=closed
    )
    try:
        yield client
        assert not lost.is_set()
    finally:
        await let_go(client)


SCRIPT = """#!{python}
import os, sys
import choria_broker
choria_broker.__version__ = "{version}"
TRIED = "standin" in sys.argv
{more}
from choria_broker.cli import program
program()
"""


def install(path: Path, version: str, more: str = "") -> Path:
    """Install a program of a version, in the place of what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(SCRIPT.format(python=sys.executable, version=version, more=more), encoding="utf-8")
    fresh.chmod(0o755)
    fresh.rename(path)
    return path


@dataclasses.dataclass(frozen=True, slots=True)
class Package:
    """A copy of the package whose version can be replaced while it runs, as ``pip install --upgrade`` does."""

    path: Path

    @classmethod
    def copied(cls, folder: Path) -> Package:
        """Copy what is tested."""
        source = Path(choria_broker.__file__).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("_engine"))
        (folder / source.name / "_engine").symlink_to(source / "_engine")
        return cls(folder)

    def becomes(self, version: str) -> None:
        """Have it be of another version."""
        module = self.path / "choria_broker/__init__.py"
        lines = module.read_text(encoding="utf-8").splitlines()
        lines = [line for line in lines if not line.startswith("__version__ =")]
        fresh = module.with_suffix(".new")
        fresh.write_text("\n".join((*lines, f'__version__ = "{version}"', "")), encoding="utf-8")
        fresh.rename(module)


@dataclasses.dataclass(slots=True)
class Asked:
    """What was asked of a broker while something was done to it; each question was answered.

    Attributes:
        pages: scrapes of the metrics.
        commands: requests on the control socket.
        longest: seconds the longest of all took.
    """

    pages: int = 0
    commands: int = 0
    longest: float = 0.0


@contextlib.asynccontextmanager
async def asking(place: Place) -> AsyncIterator[Asked]:
    """Scrape and ask all the time as long as the context lasts; whoever has asked by then is waited for."""
    asked, over = Asked(), asyncio.Event()

    async def scrape() -> None:
        while not over.is_set():
            begun = time.perf_counter()
            assert await place.metrics()
            asked.pages += 1
            asked.longest = max(asked.longest, time.perf_counter() - begun)
            await asyncio.sleep(0.02)

    async def ask() -> None:
        while not over.is_set():
            begun = time.perf_counter()
            await place.document()
            asked.commands += 1
            asked.longest = max(asked.longest, time.perf_counter() - begun)
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scrape())
        tasks.create_task(ask())
        try:
            yield asked
        finally:
            over.set()
