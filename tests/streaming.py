"""The Streams API as tests use it, and waiting until a broker has done with the standard streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

import topology
from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.streams.keeper import Timers
from choria_broker.streams.report import State
from testbed import Authority
from topology import Node, Setting

DEADLINE = 20.0
NAMES = ("CHORIA_EVENTS", "CHORIA_MACHINE", "CHORIA_STREAM_ADVISORIES", "KV_CHORIA_LEADER_ELECTION")
"""The standard streams that exist unless settings say otherwise, in the order they are made."""

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


async def ask(client: Client, call: str, document: Mapping[str, object] | None = None, timeout: float = 5) -> Any:  # noqa: ASYNC109 - as the client's
    """Make a request of the Streams API and return its answer, an error included."""
    payload = json.dumps(document).encode() if document else b""
    return json.loads((await client.request(f"$JS.API.{call}", payload, timeout=timeout)).data)


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
