"""How long a cluster of three takes to form, to do without a member that is killed, and to take it in again.

From the first member a message leaves every few milliseconds; what is measured is when one of them arrives elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import ssl
import time
from collections.abc import Callable, Mapping

import psutil

from bench.building import MeasurementError
from bench.message_watch import Hearer
from bench.networks import Member, network
from bench.results import Line, Pairs, in_turns
from bench.servers import BARE, OURS, Site, running
from bench.workbench import Workbench
from support.topology import Node, Setting, nodes, peers

_WATCHED = 0.5
_DEADLINE = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """Seconds of one life of a cluster.

    Attributes:
        formed: from launching three processes until a message of the first is at the third.
        joined: of that, after the last of their client ports accepts.
        gap: the longest time without a message between the survivors, around the death of the second.
        moved: from the death of the second until its client has a message at a survivor.
        returned: from launching the second again until a message of the first is there.
        rejoined: of that, after its client port accepts.
    """

    formed: float
    joined: float
    gap: float
    moved: float
    returned: float
    rejoined: float


def measure(bench: Workbench) -> list[Line]:
    """Measure brokers against bare nats-servers."""
    lives = (functools.partial(_life, bench.site, network(bench.site, _cluster, name)) for name in (OURS, BARE))
    ours, theirs = in_turns(bench.scale.turns, *lives)

    def row(measured: str, seconds: Callable[[_Sample], float]) -> Line:
        return Pairs([seconds(one) for one in ours], [seconds(one) for one in theirs]).row(measured, BARE, _written)

    return [
        row("Cluster of 3 started at once, until the first message across", lambda one: one.formed),
        row("of that until the last client port accepts", lambda one: one.formed - one.joined),
        row("and from there on", lambda one: one.joined),
        row("One of 3 killed: longest gap in messages between the others, one sent every 5 ms", lambda one: one.gap),
        row("One of 3 killed, until its client has a message elsewhere", lambda one: one.moved),
        row("The killed one started again, until the first message across to it", lambda one: one.returned),
        row("of that until its client port accepts", lambda one: one.returned - one.rejoined),
        row("and from there on", lambda one: one.rejoined),
    ]


def _cluster() -> Mapping[Node, Mapping[str, Setting]]:
    members = nodes(3)
    return {member: peers(*members) for member in members}


def _life(site: Site, members: tuple[Member, ...]) -> _Sample:
    async def within() -> _Sample:
        async with asyncio.timeout(_DEADLINE):
            return await _through_death(site.authority.context(site.client), *members)

    try:
        return asyncio.run(within())
    except TimeoutError:
        raise MeasurementError(f"three of {members[0].name} take over {_DEADLINE:.0f} s to form or to heal") from None


async def _through_death(context: ssl.SSLContext, *members: Member) -> _Sample:
    first, second, third = members
    async with contextlib.AsyncExitStack() as stack:
        launched = time.perf_counter()
        processes = [stack.enter_context(running(each.command, each.environment))[0] for each in members]
        sender, stranded, survivor = clients = [await stack.enter_async_context(Hearer()) for _ in members]
        await asyncio.gather(
            sender.join(context, first), stranded.join(context, second, first, third), survivor.join(context, third)
        )
        await stack.enter_async_context(sender.sending())
        formed = await survivor.hears_at(third)
        await stranded.hears_at(second)

        doomed = [processes[1], *processes[1].children()]
        killed = time.perf_counter()
        processes[1].kill()
        moved = await stranded.hears_at(first, third)
        await asyncio.sleep(_WATCHED)
        gap = survivor.longest_gap(since=killed)

        psutil.wait_procs(doomed, timeout=_DEADLINE)  # A broker does not start while its ports are taken.
        again = time.perf_counter()
        stack.enter_context(running(second.command, second.environment))
        newcomer = await stack.enter_async_context(Hearer())
        await newcomer.join(context, second)
        returned = await newcomer.hears_at(second)
    ready = max(client.opened for client in clients)
    return _Sample(formed - launched, formed - ready, gap, moved - killed, returned - again, returned - newcomer.opened)


def _written(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
