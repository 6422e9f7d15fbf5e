"""CPU of the server for each new connection with a verified client certificate.

All have the same certificate; where only certificates count, the broker does not tell them apart.
"""

from __future__ import annotations

import contextlib
import functools

from bench.load import connections
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import BARE, GO_CHORIA, TWIN, Server
from bench.workbench import Workbench


def measure(bench: Workbench) -> list[Line]:
    """Measure the broker, Python and engine together, against the bare server; then the engine alone."""
    count = bench.scale.connections
    with bench.site.broker() as broker, bench.site.bare() as bare, bench.site.twin() as twin:
        ours, bares, twins = in_turns(
            bench.scale.turns, *(functools.partial(_cpu, bench, server, count) for server in (broker, bare, twin))
        )
    whole, engine = [sum(used) for used in ours], [used[-1] for used in ours]
    load = f"{count} new mTLS connections, 8 at a time"
    lines: list[Line] = []
    for peer, samples in ((BARE, bares), (TWIN, twins)):
        theirs = [sum(used) for used in samples]
        lines.append(Pairs(whole, theirs).row(f"CPU of the server per connection, {load}", peer, _written))
        lines.append(Pairs(engine, theirs).row("of that the engine, without the Python process", peer, _written))
    return [*lines, *_against_go_choria(bench, count)]


def _against_go_choria(bench: Workbench, count: int) -> list[Line]:
    """Measure the broker against go-choria, with the key exchanges of Choria programs and with the post-quantum one."""
    load = f"{count} new mTLS connections, 8 at a time"
    if not bench.choria:
        return [LeftOut(f"Against go-choria, {load}", "no choria program: set CHORIA_BIN")]
    lines: list[Line] = []
    with contextlib.ExitStack() as running:
        broker = running.enter_context(bench.site.broker())
        choria = running.enter_context(bench.site.go_choria(bench.choria))
        for exchange, post_quantum in (("", False), (", post-quantum key exchange offered", True)):
            sample = functools.partial(_cpu, bench, count=count, post_quantum=post_quantum)
            ours, theirs = in_turns(
                bench.scale.turns, functools.partial(sample, broker), functools.partial(sample, choria)
            )
            pairs = Pairs([sum(used) for used in ours], [sum(used) for used in theirs])
            lines.append(pairs.row(f"CPU of the server per connection, {load}{exchange}", GO_CHORIA, _written))
    return lines


def _cpu(bench: Workbench, server: Server, count: int, *, post_quantum: bool = False) -> list[float]:
    """Read the seconds of CPU per connection of each process."""
    before = server.cpu()
    with connections(bench.connector, bench.site, server, count, post_quantum=post_quantum):
        after = server.cpu()
    return [(late - early) / count for early, late in zip(before, after, strict=True)]


def _written(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
