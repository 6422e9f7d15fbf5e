"""Messages from publishers to subscribers, by ``nats bench``, over TLS with client certificates."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.building import MeasurementError
from bench.servers import Server, Site

NO_TOOL = "no nats command line: set NATS_BIN or put nats on PATH"

_DEADLINE = 60.0
_SETTLED = 0.3
_RATE = re.compile(r"stats: ([\d,]+) msgs/sec")


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What is sent.

    Attributes:
        size: bytes of a message.
        messages: how many all publishers send together; each subscriber gets all of them.
        clients: publishers, and as many subscribers.
    """

    size: int
    messages: int
    clients: int


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """What one load found.

    Attributes:
        per_second: messages delivered, to all subscribers together, as they count.
        cpu: seconds of CPU for each of them, of all processes of the servers.
    """

    per_second: float
    cpu: float


def flow(site: Site, nats: Path, publish_at: Server, subscribe_at: Server, load: Load) -> Sample:
    """Send messages into one server and receive them from the same or another one.

    Raises:
        MeasurementError: messages got lost, or it took too long.
    """
    servers = {publish_at.port: publish_at, subscribe_at.port: subscribe_at}.values()
    size = ("--clients", str(load.clients), "--msgs", str(load.messages), "--size", f"{load.size}B")
    before = sum(sum(server.cpu()) for server in servers)
    with nats_bench(site, nats, subscribe_at, "sub", "bench.messages", *size) as subscribers:
        _wait_connected(subscribe_at, load.clients)
        with nats_bench(site, nats, publish_at, "pub", "bench.messages", *size) as publishers:
            told = outcome(subscribers, subscribe_at)
            outcome(publishers, publish_at)
    used = sum(sum(server.cpu()) for server in servers) - before
    return Sample(rate(told), used / (load.messages * load.clients))


@contextlib.contextmanager
def nats_bench(site: Site, nats: Path, server: Server, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``nats bench`` against a server, with the clients' certificate."""
    command: list[str | Path] = [
        nats,
        *("bench", *arguments, "--no-progress"),
        *("--server", f"tls://localhost:{server.port}", "--tlsca", site.authority.ca),
        *("--tlscert", site.client.certificate, "--tlskey", site.client.key),
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**site.environment, "XDG_CONFIG_HOME": str(site.folder)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def outcome(process: subprocess.Popen[str], server: Server) -> str:
    """Wait for the end of a ``nats bench`` and return what it wrote.

    Raises:
        MeasurementError: it failed, or took too long.
    """
    try:
        told, _ = process.communicate(timeout=_DEADLINE)
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"messages got lost at {server.name}, or it took over {_DEADLINE:.0f} s") from None
    if process.returncode:
        raise MeasurementError(f"nats bench failed at {server.name}: {told[-300:]}")
    return told


def rate(told: str) -> float:
    """Find the messages per second in what ``nats bench`` wrote; the last figure is that of all clients together.

    Raises:
        MeasurementError: there is none.
    """
    rates = _RATE.findall(told)
    if not rates:
        raise MeasurementError(f"nats bench did not say how many messages it took: {told[-300:]}")
    return float(rates[-1].replace(",", ""))


def _wait_connected(server: Server, count: int) -> None:
    """Wait until the subscribers are there; that they have subscribed too nothing tells, so give them a moment."""
    end = time.monotonic() + _DEADLINE
    listening = server.processes[-1]
    while time.monotonic() < end:
        open_now = [
            connection
            for connection in listening.net_connections(kind="tcp")
            if connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == server.port
        ]
        if len(open_now) >= count:
            time.sleep(_SETTLED)
            return
        time.sleep(0.02)
    raise MeasurementError(f"the subscribers did not get to {server.name}")


def written_rate(per_second: float) -> str:
    """Write messages per second."""
    return f"{per_second:,.0f}/s"


def written_cost(seconds: float) -> str:
    """Write the CPU for a message."""
    return f"{seconds * 1_000_000:.2f} µs"
