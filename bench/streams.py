"""Acknowledged publishes to a stream, and the price of syncing every message to the disk first."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import nats.errors

from bench.building import MeasurementError
from bench.nats_bench import NO_TOOL, nats_bench, outcome, rate, written_rate
from bench.networks import Member, network
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import BARE, OURS, TWIN, Server
from bench.workbench import Workbench
from choria_broker.settings.streams import StandardStream
from choria_broker.streams.standard import document
from support.topology import Node, Setting, client_of, nodes, peers

_NAME, _SUBJECT = "BENCH", "bench.stream"
_CREATE = f"$JS.API.STREAM.CREATE.{_NAME}"
_DAY = 86400.0
_DEADLINE = 30.0
_ANSWER = 2.0
_PAUSE = 0.1
_DEFAULT_SYNC = "broker, default sync"


@dataclasses.dataclass(frozen=True, slots=True)
class _Load:
    """What one client publishes.

    Attributes:
        way: ``sync`` when each message waits for the acknowledgement of the one before, ``async`` for batches of 500.
        size: bytes of a message.
        messages: how many.
    """

    way: str
    size: int
    messages: int

    def __str__(self) -> str:
        """The load in words."""
        return f"{self.size} B, {'one at a time' if self.way == 'sync' else '500 in flight'}"


def measure(bench: Workbench) -> list[Line]:
    """Measure one copy, one copy with every message synced, and three copies."""
    if bench.nats is None:
        return [LeftOut("Acknowledged publishes per second", NO_TOOL)]
    most = bench.scale.published
    every, few, copied = _loads(most // 20, most), _loads(most // 100, most // 25), _loads(most // 50, most // 5)
    with contextlib.ExitStack() as stack:
        usual, bare, twin = (stack.enter_context(_publishing(bench, name, 1)) for name in (OURS, BARE, TWIN))
        synced = stack.enter_context(_publishing(bench, OURS, 1, network__stream__sync="always"))
        lines = _rows(bench, "Acknowledged publishes per second, R1", every, usual, {BARE: bare, TWIN: twin})
        lines += _rows(
            bench, "Acknowledged publishes per second, R1, `stream.sync = always`", few, synced, {_DEFAULT_SYNC: usual}
        )
    with contextlib.ExitStack() as stack:
        ours, bare = (stack.enter_context(_publishing(bench, name, 3)) for name in (OURS, BARE))
        lines += _rows(bench, "Acknowledged publishes per second, R3 on 3 nodes", copied, ours, {BARE: bare})
    return lines


def _loads(one_at_a_time: int, in_flight: int) -> tuple[_Load, ...]:
    return tuple(
        _Load(way, size, messages)
        for way, messages in (("sync", one_at_a_time), ("async", in_flight))
        for size in (128, 1024)
    )


_Publish = Callable[[_Load], float]


def _rows(
    bench: Workbench, measured: str, loads: Sequence[_Load], ours: _Publish, peers: Mapping[str, _Publish]
) -> list[Line]:
    lines: list[Line] = []
    for load in loads:
        mine, *others = in_turns(
            bench.scale.turns, *(functools.partial(party, load) for party in (ours, *peers.values()))
        )
        lines += [
            Pairs(mine, theirs).row(f"{measured}, {load}", peer, written_rate)
            for peer, theirs in zip(peers, others, strict=True)
        ]
    return lines


@contextlib.contextmanager
def _publishing(bench: Workbench, name: str, replicas: int, **settings: Setting) -> Iterator[_Publish]:
    """Run a server for each copy of a stream; yields what publishes at its leader and returns messages per second."""

    def plan() -> Mapping[Node, Mapping[str, Setting]]:
        members = nodes(replicas)
        linked = peers(*members) if replicas > 1 else {}
        return {each: {**linked, **_storing(bench.site.folder), **settings} for each in members}

    members = network(bench.site, plan, name)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(member.running()) for member in members]
        leader = asyncio.run(_create(bench.site.authority.context(bench.site.client), members, replicas))
        yield functools.partial(_publish, bench, servers[leader])


def _storing(folder: Path) -> dict[str, Setting]:
    """Return the settings of a store of its own, without the standard streams: the peers have none either."""
    return {"network__stream__store": tempfile.mkdtemp(dir=folder), "network__stream__manage_streams": False}


def _publish(bench: Workbench, leader: Server, load: _Load) -> float:
    size = ("--stream", _NAME, "--purge", "--msgs", str(load.messages), "--size", f"{load.size}B")
    if bench.nats is None:
        raise MeasurementError(NO_TOOL)
    with nats_bench(bench.site, bench.nats, leader, "js", "pub", load.way, _SUBJECT, *size) as publisher:
        return rate(outcome(publisher, leader))


async def _create(context: ssl.SSLContext, members: Sequence[Member], replicas: int) -> int:
    """Make the stream, as the broker makes its own, and return which member leads it.

    Raises:
        MeasurementError: the stream cannot be made.
    """
    stream = StandardStream(name=_NAME, key="", subjects=(_SUBJECT,), keeps="", retention=_DAY, replicas=replicas)
    answer = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DEADLINE), client_of(members[0].node, context) as client:
            while True:
                # Until a cluster has a leader nobody answers, or with an error that passes.
                with contextlib.suppress(nats.errors.Error):
                    reply = await client.request(_CREATE, json.dumps(document(stream)).encode(), timeout=_ANSWER)
                    answer = json.loads(reply.data)
                    if "error" not in answer:
                        leader = answer.get("cluster", {}).get("leader")
                        return next((at for at, each in enumerate(members) if each.node.identity == leader), 0)
                await asyncio.sleep(_PAUSE)
    raise MeasurementError(f"{members[0].name} makes no stream: {answer}")
