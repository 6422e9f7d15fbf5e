"""Messages through the server, over TLS with client certificates."""

from __future__ import annotations

import functools

from bench.nats_bench import NO_TOOL, Load, flow, written_cost, written_rate
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import BARE, TWIN
from bench.workbench import Workbench

_CLIENTS = 2


def measure(bench: Workbench) -> list[Line]:
    """Measure delivered messages per second and the server's CPU for each, for two sizes of messages."""
    if bench.nats is None:
        return [LeftOut("Messages through the server", NO_TOOL)]
    lines: list[Line] = []
    sizes = ((128, bench.scale.small_messages), (1024, bench.scale.large_messages))
    with bench.site.broker() as broker, bench.site.bare() as bare, bench.site.twin() as twin:
        for size, messages in sizes:
            load = Load(size, messages, _CLIENTS)
            told = f"{size} B, {_CLIENTS} publishers, {_CLIENTS} subscribers, TLS"
            flows = [
                functools.partial(flow, bench.site, bench.nats, server, server, load) for server in (broker, bare, twin)
            ]
            ours, *others = in_turns(bench.scale.turns, *flows)
            for peer, theirs in zip((BARE, TWIN), others, strict=True):
                rates = Pairs([one.per_second for one in ours], [one.per_second for one in theirs])
                costs = Pairs([one.cpu for one in ours], [one.cpu for one in theirs])
                lines += [
                    rates.row(f"Messages delivered per second, {told}", peer, written_rate, aim="0.97 or more"),
                    costs.row(
                        f"CPU of the server per message delivered, {told}", peer, written_cost, aim="1.03 or less"
                    ),
                ]
    return lines
