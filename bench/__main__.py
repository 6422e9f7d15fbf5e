"""Measure everything and print the table; nothing is written but to standard output and a temporary folder."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import (
    adapters,
    companion_memory,
    connections,
    decisions,
    failover,
    federation,
    gate,
    links,
    long_key,
    machine,
    memory,
    oncall,
    reloads,
    revocation,
    scraping,
    startup,
    storm,
    storms,
    streams,
    sustained,
    throughput,
    upgrades,
)
from bench.building import MeasurementError
from bench.load import build_connector
from bench.results import LeftOut, Line, markdown_table, plain_table
from bench.servers import Site
from bench.workbench import FULL, QUICK, Workbench, optional_tool

_MEASUREMENTS = {
    "startup": startup.measure,
    "connections": connections.measure,
    "throughput": throughput.measure,
    "memory": memory.measure,
    "decisions": decisions.measure,
    "gate": gate.measure,
    "sustained": sustained.measure,
    "storm": storm.measure,
    "storms": storms.measure,
    "long-key": long_key.measure,
    "links": links.measure,
    "healing": failover.measure,
    "streams": streams.measure,
    "scraping": scraping.measure,
    "revocation": revocation.measure,
    "reloads": reloads.measure,
    "upgrades": upgrades.measure,
    "oncall": oncall.measure,
    "adapters": adapters.measure,
    "federation": federation.measure,
    "companion-memory": companion_memory.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurements asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes, too few samples to rely on")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/performance.md")
    parser.add_argument("--only", choices=_MEASUREMENTS, nargs="+", help="leave the others out")
    asked = parser.parse_args(arguments)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # The Python client has it warn of each TLS connection.
    with tempfile.TemporaryDirectory(prefix="choria-broker-bench-") as name:
        folder = Path(name)
        bench = Workbench(
            site=Site(folder),
            scale=QUICK if asked.quick else FULL,
            connector=build_connector(folder),
            nats=optional_tool("NATS_BIN", "nats"),
            choria=optional_tool("CHORIA_BIN", "choria"),
        )
        print("\n\n".join(machine.description(bench)), end="\n\n")
        print((markdown_table if asked.markdown else plain_table)(_lines(bench, asked.only or list(_MEASUREMENTS))))
    return 0


def _lines(bench: Workbench, names: Sequence[str]) -> list[Line]:
    lines: list[Line] = []
    for name in names:
        began = time.monotonic()
        try:
            lines += _MEASUREMENTS[name](bench)
        except MeasurementError as error:
            lines.append(LeftOut(name, str(error)))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
