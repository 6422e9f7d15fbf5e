"""Messages across a route, a gateway and a leafnode: in at one server, out at the other, all of it over TLS."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping

from bench.nats_bench import NO_TOOL, Load, flow, written_cost, written_rate
from bench.networks import Plan, networks, wait_linked
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import BARE, TWIN
from bench.workbench import Workbench
from support.leaflinks import remote
from support.topology import Node, Setting, gateways, nodes, peers

_CLIENTS = 1


def measure(bench: Workbench) -> list[Line]:
    """Measure each kind of link, between two brokers and between two of their peers."""
    if bench.nats is None:
        return [LeftOut("Messages across a route, a gateway and a leafnode", NO_TOOL)]
    lines: list[Line] = []
    for link, plan in (("a route", _route), ("a gateway", _gateway), ("a leafnode connection", _leafnode)):
        lines += _link(bench, link, plan)
    return lines


def _link(bench: Workbench, link: str, plan: Plan) -> list[Line]:
    if bench.nats is None:
        raise ValueError(NO_TOOL)
    lines: list[Line] = []
    with contextlib.ExitStack() as stack:
        pairs = []
        for one, other in networks(bench.site, plan):
            pairs.append((stack.enter_context(one.running()), stack.enter_context(other.running())))
            wait_linked(bench.site, one, other)
        for size, messages in ((128, bench.scale.crossing_small), (1024, bench.scale.crossing_large)):
            load = Load(size, messages, _CLIENTS)
            flows = (functools.partial(flow, bench.site, bench.nats, here, there, load) for here, there in pairs)
            ours, bares, twins = in_turns(bench.scale.turns, *flows)
            told = f"{link}, {size} B, TLS"
            rates = Pairs([one.per_second for one in ours], [one.per_second for one in bares])
            lines.append(rates.row(f"Messages per second across {told}", BARE, written_rate))
            for peer, theirs in ((BARE, bares), (TWIN, twins)):
                costs = Pairs([one.cpu for one in ours], [one.cpu for one in theirs])
                lines.append(costs.row(f"CPU of both servers per message across {told}", peer, written_cost))
    return lines


def _route() -> Mapping[Node, Mapping[str, Setting]]:
    """Make a cluster of two."""
    members = nodes(2)
    return {member: peers(*members) for member in members}


def _gateway() -> Mapping[Node, Mapping[str, Setting]]:
    """Make two clusters of one."""
    east, west = nodes(2)
    return {
        east: gateways(east, "EAST", EAST=[east], WEST=[west]),
        west: gateways(west, "WEST", EAST=[east], WEST=[west]),
    }


def _leafnode() -> Mapping[Node, Mapping[str, Setting]]:
    """Make a leafnode, where messages enter, and its hub."""
    leaf, hub = nodes(2)
    return {
        leaf: {
            "network__gateway_name": "SITE",
            "network__leafnode_remotes": "hub",
            **remote("hub", f"localhost:{hub.leafnode}"),
        },
        hub: {"network__gateway_name": "HQ", "network__leafnode_port": hub.leafnode},
    }
