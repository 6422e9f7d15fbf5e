"""Storm after storm against the broker, with both kinds of keys: none may collapse. For ``make soak``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.building import MeasurementError
from bench.long_key import long_key
from bench.servers import Site
from bench.storms import Fleet, Storm


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them; 1 when one did not end in time, or somebody waited for longer than with go-choria."""
    parser = argparse.ArgumentParser(prog="python -m bench.many_storms", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="half of them with an EC key, half with RSA of 4096 bits")
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--clients-long-key", type=int, default=3000, help="with RSA of 4096 bits")
    asked = parser.parse_args(arguments)
    choria = os.environ.get("CHORIA_BIN")
    with tempfile.TemporaryDirectory(prefix="choria-broker-storms-") as name:
        site = Site(Path(name))
        fleet = Fleet(site)
        keys: tuple[tuple[str, int, AbstractContextManager[None]], ...] = (
            ("EC", asked.clients, contextlib.nullcontext()),
            ("RSA-4096", asked.clients_long_key, long_key(site)),
        )
        bad = 0
        for key, count, used in keys:
            with used:
                bound = _longest_of_choria(site, fleet, Path(choria), count) if choria else None
                for number in range(asked.runs // 2):
                    bad += not _went_well(f"{key}, storm {number + 1}", site, fleet, count, bound)
    return min(bad, 1)


def _longest_of_choria(site: Site, fleet: Fleet, program: Path, count: int) -> float | None:
    """Tell how long the last client waits with go-choria, None when it does not get in at all."""
    try:
        with site.go_choria(program) as server:
            found = fleet.storm(server, count)
    except MeasurementError as error:
        _tell(f"go-choria: {error}")
        return None
    _tell(_written("go-choria", found))
    return found.longest


def _went_well(what: str, site: Site, fleet: Fleet, count: int, bound: float | None) -> bool:
    try:
        with site.broker() as server:
            found = fleet.storm(server, count)
    except MeasurementError as error:
        _tell(f"{what}: COLLAPSED: {error}")
        return False
    longer = bound is not None and found.longest > bound
    _tell(_written(what, found) + (" LONGER THAN GO-CHORIA" if longer else ""))
    return not longer


def _written(what: str, storm: Storm) -> str:
    return (
        f"{what}: {storm.connected:,} in after {storm.seconds:.1f} s, half after {storm.p50:.1f} s; "
        f"{storm.failed:,} attempts failed, {storm.in_vain:,} of them after the first word"
    )


def _tell(line: str) -> None:
    print(line, file=sys.stdout, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
