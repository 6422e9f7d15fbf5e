"""Fleets that come back at once: how long until all are in, and how many attempts were for nothing."""

from __future__ import annotations

import dataclasses
import functools
import json
import resource
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from bench import ROOT
from bench.building import MeasurementError, build
from bench.load import fresh_logins
from bench.long_key import long_key
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import GO_CHORIA, Server, Site
from bench.workbench import Workbench

LONGEST = 120
"""Seconds after which a storm that has not ended is given up."""

_TOKENS = 2000
_CERTIFICATES = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Storm:
    """What became of one; times in seconds.

    Attributes:
        connected: clients that got in.
        seconds: until the last of them was.
        unheard: attempts that ended before the server had said anything.
        in_vain: those that ended after that: work for nothing.
        failure: why the last of either did.
        p50: until half of them were in.
        p99: until all but one in a hundred were.
        longest: that the last one waited, over all its attempts.
    """

    connected: int
    seconds: float
    unheard: int
    in_vain: int
    failure: str
    p50: float
    p99: float
    longest: float

    @property
    def failed(self) -> int:
        """Attempts that came to nothing."""
        return self.unheard + self.in_vain


class Fleet:
    """The program that plays the clients, and what they log in with: half with tokens, half with certificates."""

    def __init__(self, site: Site) -> None:
        """Build and make them.

        Raises:
            MeasurementError: there is no Go, or it failed.
        """
        self._site = site
        self._program = site.folder / "herd"
        build(self._program, ROOT / "bench" / "herd" / "main.go")
        self._logins = site.folder / "herd.json"
        self._logins.write_text(json.dumps([dataclasses.asdict(each) for each in fresh_logins(_TOKENS)]))
        issued = (
            site.authority.issue(f"node{number}.example.net", rsa=number % 2 == 1) for number in range(_CERTIFICATES)
        )
        self._identities = ",".join(f"{each.certificate}:{each.key}" for each in issued)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # The program has a file for each client.

    def storm(self, server: Server, count: int) -> Storm:
        """Have so many clients, each with an address of its own, come at once, and wait until all are in.

        Raises:
            MeasurementError: some were not.
        """
        command: list[str | Path] = [self._program, "-address", f"127.0.0.1:{server.port}", "-count", str(count)]
        command += ["-ca", self._site.authority.ca, "-logins", self._logins, "-identities", self._identities]
        command += ["-longest", f"{LONGEST}s"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LONGEST + 30
        )
        if done.returncode:
            raise MeasurementError(f"the storm against {server.name} ended early: {done.stderr.strip()}")
        found = Storm(**json.loads(done.stdout))
        if found.connected != count:
            raise MeasurementError(
                f"{server.name} let {found.connected} of {count} clients in within {LONGEST} s, and {found.failed} "
                f"attempts failed: {found.failure}"
            )
        return found


def measure(bench: Workbench) -> list[Line]:
    """Measure storms of several sizes, and one with Puppet's default key, against go-choria."""
    if not bench.choria:
        return [LeftOut("Storms of clients", "no choria program: set CHORIA_BIN")]
    fleet = Fleet(bench.site)
    lines: list[Line] = []
    for count, aim in zip(bench.scale.storms, ("1.0", "0.8"), strict=True):
        lines += _rows(bench, fleet, bench.choria, count, "EC key", aim)
    with long_key(bench.site):
        lines += _rows(bench, fleet, bench.choria, bench.scale.long_key_storm, "RSA-4096 key", "0.25")
    return lines


def _rows(bench: Workbench, fleet: Fleet, choria: Path, count: int, key: str, aim: str) -> list[Line]:
    """Measure one size; each server is started anew for each storm."""
    load = f"{count:,} clients at once, 2 s of patience, {key}"

    def one(run: Callable[[], AbstractContextManager[Server]]) -> Storm:
        with run() as server:
            return fleet.storm(server, count)

    parties = (bench.site.broker, functools.partial(bench.site.go_choria, choria))
    try:
        ours, theirs = in_turns(bench.scale.storm_turns, *(functools.partial(one, each) for each in parties))
    except MeasurementError as error:
        return [LeftOut(load, str(error))]
    rows: list[Line] = [
        Pairs([each.seconds for each in ours], [each.seconds for each in theirs]).row(
            f"Until all are in: {load}", GO_CHORIA, lambda seconds: f"{seconds:.1f} s", aim
        )
    ]
    counts = {
        "attempts that failed": ([each.failed for each in ours], [each.failed for each in theirs]),
        "of those, after the server's first word": ([each.in_vain for each in ours], [each.in_vain for each in theirs]),
    }
    for what, (failed, theirs_failed) in counts.items():
        pairs = Pairs(failed, theirs_failed)
        rows.append(pairs.row(f"{what}: {load}", GO_CHORIA, lambda number: f"{number:,.0f}"))
    return rows
