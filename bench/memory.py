"""Resident memory, idle and with many connections."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from bench.load import connections
from bench.results import LeftOut, Line, Pairs
from bench.servers import BARE, Server
from bench.workbench import Workbench
from choria_broker.host.limits import raise_file_limit

_SETTLED = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """Bytes resident in one fresh server.

    Attributes:
        idle: before any connection.
        full: with all connections.
    """

    idle: int
    full: int


def measure(bench: Workbench) -> list[Line]:
    """Measure fresh servers: all processes of the broker together, against the bare server."""
    held = bench.scale.held
    if raise_file_limit(held) < held:
        return [LeftOut(f"Resident memory with {held} connections", "the open file limit is too low")]
    ours, bare = [], []
    for _ in range(bench.scale.memory_turns):
        ours.append(_sample(bench, bench.site.broker, held))
        bare.append(_sample(bench, bench.site.bare, held))
    idle = Pairs([one.idle for one in ours], [one.idle for one in bare])
    full = Pairs([one.full for one in ours], [one.full for one in bare])
    grown = Pairs([(one.full - one.idle) / held for one in ours], [(one.full - one.idle) / held for one in bare])
    return [
        idle.row("Resident memory, idle", BARE, _megabytes),
        full.row(f"Resident memory with {held:,} mTLS connections", BARE, _megabytes),
        grown.row("what each of them added", BARE, _kilobytes),
    ]


def _sample(bench: Workbench, run: Callable[[], AbstractContextManager[Server]], held: int) -> _Sample:
    with run() as server:
        time.sleep(_SETTLED)
        idle = server.resident()
        with connections(bench.connector, bench.site, server, held):
            time.sleep(_SETTLED)
            return _Sample(idle, server.resident())


def _megabytes(size: float) -> str:
    return f"{size / 1_000_000:.0f} MB"


def _kilobytes(size: float) -> str:
    return f"{size / 1000:.1f} kB"
