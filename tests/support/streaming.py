"""The Streams API as tests use it, and waiting until a broker has done with the standard streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.config.load import load
from choria_broker.streams.api import NO_PEERS
from choria_broker.streams.keeper import Timers
from choria_broker.streams.report import State
from choria_broker.streams.trouble import Trouble, TroubleKind
from support import topology
from support.testbed import Authority, configuration
from support.topology import Node, Setting

DEADLINE = 60.0
IN_CLUSTERS = 60.0
"""Deadline for what members of clusters do among themselves, in seconds."""
_PATIENCE = 3.0
"""How long one try of a request waits for its answer, in seconds."""
_ONLY_ONCE = frozenset({"DELETE", "PURGE", "RESTORE", "REMOVE", "EVACUATE", "STEPDOWN"})
"""Words of calls that do something else the second time."""
SOON = Timers(answer=2.0, first=lambda _wanted, _peers: 0.05, pause=lambda _attempt: 0.1)
"""For members of clusters, which would otherwise wait for a long time."""


def member(
    folder: Path, authority: Authority, node: Node, *peers: Node, timers: Timers = SOON, **settings: Setting
) -> NetworkBroker:
    """Make a member of a cluster whose peers are given, with Streams on."""
    usual: dict[str, Setting] = {"network__stream__store": folder / node.identity / "store"}
    linked = topology.peers(*peers) if peers else {}
    loaded = load(topology.configure(folder, authority, node, **(usual | linked | settings)))
    assert loaded.settings, loaded.findings
    return NetworkBroker(loaded.settings, findings=loaded.findings, timers=timers)


async def kept(broker: NetworkBroker, *accounts: str) -> dict[str, str]:
    """Wait until nothing is pending, and return what became of each stream of an account, Choria's by default."""
    unsettled = {State.PENDING, State.RETRYING}
    try:
        async with asyncio.timeout(DEADLINE):
            while any(report.state in unsettled for report in broker.streams.ledger.reports):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not settled: {broker.streams.ledger.reports}") from None
    return outcomes(broker, *accounts)


def outcomes(broker: NetworkBroker, *accounts: str) -> dict[str, str]:
    """Return what became of each managed stream so far."""
    return {
        report.stream: report.outcome or report.state.value
        for report in broker.streams.ledger.reports
        if report.account in (accounts or ("choria",)) and report.state is not State.NOT_MANAGED
    }


async def ask(
    client: Client,
    call: str,
    document: Mapping[str, object] | None = None,
    timeout: float = DEADLINE,  # noqa: ASYNC109 - as the client's
) -> Any:
    """Make a request of the Streams API and return its answer, an error included.

    While a cluster, or the group of one stream, changes its leader nobody answers. A request that may be made twice is
    made again then, as is one for which the cluster does not know all of its members yet.
    """
    payload = json.dumps(document).encode() if document else b""
    once = timeout if _ONLY_ONCE & set(call.split(".")[:3]) else min(timeout, _PATIENCE)
    async with asyncio.timeout(timeout):
        while True:
            try:
                answer = json.loads((await client.request(f"$JS.API.{call}", payload, timeout=once)).data)
            except nats.errors.TimeoutError:
                if once == timeout:
                    raise
                continue
            if answer.get("error", {}).get("err_code") != NO_PEERS:
                return answer
            await asyncio.sleep(0.1)


async def answered_with(client: Client, field: str, call: str, document: Mapping[str, object] | None = None) -> Any:
    """Make a request until its answer has a field, and return the answer.

    While there is no leader nobody answers, and a message is stored a moment after it was published.
    """
    async with asyncio.timeout(DEADLINE):
        while True:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                answer = await ask(client, call, document, timeout=1)
                if field in answer:
                    return answer
            await asyncio.sleep(0.05)


async def info(client: Client, stream: str) -> Any:
    """Return everything about a stream that must exist."""
    answer = await ask(client, f"STREAM.INFO.{stream}")
    assert "error" not in answer, answer
    return answer


async def changed(client: Client, stream: str, **fields: object) -> None:
    """Edit fields of a stream, as an operator would."""
    answer = await ask(client, f"STREAM.UPDATE.{stream}", (await info(client, stream))["config"] | fields)
    assert "error" not in answer, answer


@contextlib.contextmanager
def mounted(place: Path, size: str = "4m") -> Iterator[Path]:
    """Mount a small file system on a new folder; a test is skipped where that cannot be done."""
    place.mkdir(parents=True)
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603 - a fixed command
        pytest.skip("only root may mount a small file system, and not everywhere")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # noqa: S603, S607 - as above


def use_up(disk: Path) -> Path:
    """Fill a file system, and return the file that does it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"0" * 4096)
    return filler


def store_of(folder: Path, node: Node) -> Path:
    """Return the store of a node that ``member`` makes."""
    return folder / node.identity / "store"


def broker(folder: Path, authority: Authority, **settings: str | int | bool | Path) -> NetworkBroker:
    """Make a broker with streams, which belongs to no cluster."""
    usual: dict[str, Any] = {"network__stream__store": folder / "store"}
    return NetworkBroker.from_file(configuration(folder, authority, **(usual | settings)))


def contents(place: Path) -> dict[str, bytes]:
    """Return the files of a directory by their relative names."""
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


@contextlib.asynccontextmanager
async def speaking(broker: NetworkBroker) -> AsyncIterator[Client]:
    """Connect to a running broker."""
    connection = await broker.connect()
    try:
        yield connection
    finally:
        await let_go(connection)


async def made(connection: Client, stream: str, replicas: int = 1, messages: int = 3) -> None:
    """Make a stream and store messages in it."""
    document = {"name": stream, "subjects": [f"of.{stream}"], "num_replicas": replicas}
    answer = await ask(connection, f"STREAM.CREATE.{stream}", document)
    assert "error" not in answer, answer
    for _ in range(messages):
        await stores(connection, f"of.{stream}")


async def stores(connection: Client, subject: str) -> None:
    """Publish until it is stored: members, and clusters, hear of a stream's subjects a moment after it is made.

    The message has an identity, so that one whose answer got lost is not stored twice.
    """
    identity = {"Nats-Msg-Id": secrets.token_hex(8)}
    async with asyncio.timeout(IN_CLUSTERS):
        while True:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                await connection.jetstream().publish(subject, b"message", timeout=2, headers=identity)
                return
            await asyncio.sleep(0.05)


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(IN_CLUSTERS):
        while not true():
            await asyncio.sleep(0.02)


def kept_of(broker: NetworkBroker) -> dict[str, Trouble]:
    """What was kept so far, by the name of the stream."""
    noted = (each.trouble for each in broker.streams.ledger.troubles)
    return {trouble.stream: trouble for trouble in noted if trouble.kind is TroubleKind.KEPT}
