"""How long it takes from a revocation to the end of many sessions, and how long nobody else is answered meanwhile."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import psutil

from bench.building import MeasurementError
from bench.load import connections
from bench.networks import Member, network
from bench.results import LeftOut, Line, Row
from bench.servers import OURS
from bench.workbench import Workbench
from choria_broker.control.client import ask_revoke
from choria_broker.control.protocol import RevokeRequest
from choria_broker.host.limits import raise_file_limit
from support.topology import nodes

_NAME = "client.example.net"
_DEADLINE = 10.0


def measure(bench: Workbench) -> list[Line]:
    """Revoke the identity that many sessions have."""
    held = bench.scale.held
    if raise_file_limit(held) < held:
        return [LeftOut(f"Revocation with {held:,} sessions", "the open file limit is too low")]
    file = bench.site.folder / "revoked"
    (member,) = network(bench.site, lambda: {node: {"network__revocations": file} for node in nodes(1)}, OURS)
    seconds = [_sample(bench, member, file, held) for _ in range(bench.scale.memory_turns)]
    spread = f"{min(seconds) * 1000:.0f} to {max(seconds) * 1000:.0f} ms"
    measured = f"From a revocation to the end of {held:,} sessions"
    return [Row(measured, f"{statistics.median(seconds) * 1000:.0f} ms", "no peer can", spread, "1 s")]


def _sample(bench: Workbench, member: Member, file: Path, held: int) -> float:
    file.unlink(missing_ok=True)
    configuration = Path(member.command[-1])
    with member.running() as broker, connections(bench.connector, bench.site, broker, held):
        engine = broker.processes[-1]
        file.write_text(f"identity {_NAME}\n", encoding="utf-8")
        began = _now()
        report = ask_revoke(configuration, RevokeRequest("identity", _NAME))
        while _connected(engine, member.node.client) and _now() - began < _DEADLINE:
            continue
        seconds = _now() - began
        if report.sessions != held or report.problem:
            raise MeasurementError(f"{report.sessions} of {held} sessions ended: {report.problem}")
        return seconds


def _now() -> float:
    return time.perf_counter()


def _connected(engine: psutil.Process, port: int) -> int:
    """Count the connections that the engine has on its client port."""
    return sum(each.laddr.port == port and each.status == "ESTABLISHED" for each in engine.net_connections("tcp"))
