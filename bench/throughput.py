"""Messages through the server, over TLS with client certificates."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.building import MeasurementError
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import BARE, TWIN, Server
from bench.workbench import Workbench

_CLIENTS = 2
_DEADLINE = 60.0
_SETTLED = 0.3
_RATE = re.compile(r"subscriber aggregated stats: ([\d,]+) msgs/sec")


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """Messages delivered per second, and seconds of the server's CPU for each.

    Attributes:
        per_second: to all subscribers together, as they count.
        cpu: of all processes of the server.
    """

    per_second: float
    cpu: float


def measure(bench: Workbench) -> list[Line]:
    """Measure delivered messages per second and the server's CPU for each, for two sizes of messages."""
    title = "Messages through the server"
    if bench.nats is None:
        return [LeftOut(title, "no nats command line: set NATS_BIN or put nats on PATH")]
    lines: list[Line] = []
    sizes = ((128, bench.scale.small_messages), (1024, bench.scale.large_messages))
    with bench.site.broker() as broker, bench.site.bare() as bare, bench.site.twin() as twin:
        for size, messages in sizes:
            load = f"{size} B, {_CLIENTS} publishers, {_CLIENTS} subscribers, TLS"
            flows = [
                functools.partial(_flow, bench, bench.nats, server, size, messages) for server in (broker, bare, twin)
            ]
            ours, *others = in_turns(bench.scale.turns, *flows)
            for peer, theirs in zip((BARE, TWIN), others, strict=True):
                rates = Pairs([one.per_second for one in ours], [one.per_second for one in theirs])
                costs = Pairs([one.cpu for one in ours], [one.cpu for one in theirs])
                lines += [
                    rates.row(f"Messages delivered per second, {load}", peer, _rate, aim="0.97 or more"),
                    costs.row(f"CPU of the server per message delivered, {load}", peer, _cost, aim="1.03 or less"),
                ]
    return lines


def _flow(bench: Workbench, nats: Path, server: Server, size: int, messages: int) -> _Sample:
    before = sum(server.cpu())
    with _nats_bench(bench, nats, server, "sub", messages, size) as subscribers:
        _wait_connected(server, _CLIENTS)
        with _nats_bench(bench, nats, server, "pub", messages, size) as publishers:
            try:
                told, _ = subscribers.communicate(timeout=_DEADLINE)
                publishers.communicate(timeout=_DEADLINE)
            except subprocess.TimeoutExpired:
                raise MeasurementError(
                    f"messages got lost at {server.name}, or it took over {_DEADLINE:.0f} s"
                ) from None
    used = sum(server.cpu()) - before
    rate = _RATE.search(told)
    if rate is None:
        raise MeasurementError(f"nats bench did not say how many messages {server.name} delivered: {told[-300:]}")
    return _Sample(float(rate[1].replace(",", "")), used / (messages * _CLIENTS))


@contextlib.contextmanager
def _nats_bench(
    bench: Workbench, nats: Path, server: Server, role: str, messages: int, size: int
) -> Iterator[subprocess.Popen[str]]:
    site = bench.site
    command: list[str | Path] = [
        *(nats, "bench", role, "bench.messages", "--no-progress"),
        *("--clients", str(_CLIENTS), "--msgs", str(messages), "--size", str(size)),
        *("--server", f"tls://localhost:{server.port}", "--tlsca", site.authority.ca),
        *("--tlscert", site.client.certificate, "--tlskey", site.client.key),
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HOME": str(site.folder), "XDG_CONFIG_HOME": str(site.folder)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


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


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s"


def _cost(seconds: float) -> str:
    return f"{seconds * 1_000_000:.2f} µs"
