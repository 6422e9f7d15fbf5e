"""From a trouble to the first true word of it, in log, status and metrics; and what looking that closely costs.

The troubles are played on a cluster of two with Streams, as processes: a full disk, a member that stands still, a
client that is killed, and nodes that nobody provisions.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.building import MeasurementError
from bench.load import connections
from bench.networks import Member, network, wait_linked
from bench.results import LeftOut, Line, Row
from bench.servers import BARE, OURS, Server
from bench.workbench import QUICK, Workbench
from choria_broker.control.client import ask_find
from choria_broker.errors import BrokerError
from choria_broker.host.limits import raise_file_limit
from support.minting import ORGANIZATION, hex_of, mint, provisioning
from support.nats_socket import wire
from support.topology import Node, Setting, client_of, nodes, peers

_LOOK = 0.1
_DEADLINE = 90.0
_STALLED = 300.0
"""Seconds until nodes have waited for too long."""
_DISK = 48 << 20
_LEFT = 1 << 20
_NO_PEER = "no peer can"
_PROGRAMS = {name: shutil.which(name) or name for name in ("mount", "umount")}

Look = Callable[[], bool]
"""Tells whether a word is there."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Witness:
    """What an operator has of one broker.

    Attributes:
        node: its ports.
        log: its log.
        configuration: its file.
    """

    node: Node
    log: Path
    configuration: Path

    def logs(self, pattern: str) -> Look:
        """Make what looks for a line that was not there before."""
        begun = self.log.stat().st_size

        def look() -> bool:
            with self.log.open("rb") as file:
                file.seek(begun)
                return re.search(pattern, file.read().decode(errors="replace")) is not None

        return look

    def reports(self, wanted: Callable[[Mapping[str, Any]], bool]) -> Look:
        """Make what looks at the status."""
        return lambda: wanted(json.loads(self._page("/choria/status")))

    def shows(self, pattern: str) -> Look:
        """Make what looks at the metrics."""
        return lambda: re.search(pattern, self._page("/choria/prometheus"), re.MULTILINE) is not None

    def _page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.node.statistics}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
            return text


def measure(bench: Workbench) -> list[Line]:
    """Play the troubles, then watch a large broker that has nothing to do."""
    lines: list[Line] = []
    for trouble in (_full_disk, _frozen, _gone, _waiting, _costs):
        try:
            lines += trouble(bench)
        except MeasurementError as error:
            lines.append(LeftOut(f"First word: {trouble.__name__.strip('_')}", str(error)))
    return lines


def _full_disk(bench: Workbench) -> list[Line]:
    """Fill the disk of the second member, while the first takes messages."""
    what = "the disk of one member is full"
    disk = bench.site.folder / "disk"
    disk.mkdir(exist_ok=True)
    mount: list[str | Path] = [_PROGRAMS["mount"], "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", disk]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        return [LeftOut(f"First word after {what}", "only root may mount a small disk")]

    def on_disk(node: Node) -> Mapping[str, Setting]:
        return {"network__stream__store": disk / "store"} if node.identity.startswith("broker2.") else {}

    try:
        with _pair(bench, on_disk) as (one, _, first, second):
            free = _times(
                lambda: _fill(disk, _LEFT),
                log=second.logs("Health is degraded: the disk of the store"),
                status=second.reports(lambda found: _reason(found, "the disk of the store")),
                metric=second.shows(r"^choria_broker_health\{condition=\"degraded\".*\} 1$"),
            )
            with _publishing(bench, one):
                full = _times(
                    lambda: _fill(disk, 0),
                    log=first.logs("cannot be written"),
                    status=first.reports(lambda found: _reason(found, "cannot be written")),
                    metric=first.shows(r"^choria_broker_stream_writable\{.*\} 0$"),
                )
    finally:
        subprocess.run([_PROGRAMS["umount"], "--lazy", disk], check=True)
    return [_row("less is left than streams may still take", free), _row(f"{what}, told by the other", full)]


def _frozen(bench: Workbench) -> list[Line]:
    """Have all processes of the second member stand still."""
    with _pair(bench) as (_, two, first, second):
        name = re.escape(second.node.identity)
        found = _times(
            lambda: _signal(two, signal.SIGSTOP),
            log=first.logs(f"Health is .*{name}"),
            status=first.reports(lambda found: _reason(found, second.node.identity)),
            metric=first.shows(r"^choria_broker_peers_connected\{.*\} 0$"),
        )
        _signal(two, signal.SIGCONT)
    return [_row("a member stands still", found)]


def _gone(bench: Workbench) -> list[Line]:
    """Kill a client that sits on the first member."""
    with _pair(bench) as (one, _, first, _), contextlib.ExitStack() as stack:
        stack.enter_context(connections(bench.connector, bench.site, one, 1))

        def found() -> bool:
            with contextlib.suppress(BrokerError):
                return any(each.departed for each in ask_find(first.configuration, "client.example.net").brokers)
            return False

        there = first.shows(r"^choria_network_connections\{.*\} [1-9]")
        _wait({"there": there})
        times = _times(
            stack.close,
            log=first.logs("Connection ended"),
            status=found,
            metric=first.shows(r"^choria_network_connections\{.*\} 0(\.0)?$"),
        )
    return [_row("a client went (status: choria-broker find)", times)]


def _waiting(bench: Workbench) -> list[Line]:
    """Have a node wait for provisioning, and nobody come."""
    settings: dict[str, Setting] = {
        "plugin__security__issuer__names": "choria",
        "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
        "network__provisioning__client_password": "s3cret",
    }
    now = int(time.time())
    token = mint({**provisioning(), "ou": "choria", "iat": now - 60, "nbf": now - 60, "exp": now + 3600})
    stalled = bench.scale is not QUICK
    with _pair(bench, lambda _: settings, certificates=False) as (_, _, first, _):

        async def play() -> tuple[Mapping[str, float], Mapping[str, float]]:
            context = bench.site.authority.context()
            async with wire(first.node.client, context) as node:
                looks = {
                    "log": first.logs("Connection accepted.*provision"),
                    "status": first.reports(lambda found: bool(found["provisioning"]["waiting"])),
                    "metric": first.shows(r"^choria_broker_provisioning_waiting\{.*\} 1(\.0)?$"),
                }
                late = {
                    "log": first.logs("Health is degraded: nodes have waited"),
                    "status": first.reports(lambda found: _reason(found, "nodes have waited")),
                    "metric": first.shows(r"^choria_broker_provisioning_stalled\{.*\} 1(\.0)?$"),
                }
                began = time.monotonic()
                await node.connect(auth_token=token)
                soon = await asyncio.to_thread(_wait, looks, began)
                if not stalled:
                    return soon, {}
                return soon, await asyncio.to_thread(_wait, late, began + _STALLED)

        soon, late = asyncio.run(play())
    lines: list[Line] = [_row("a node waits for provisioning", soon)]
    if late:
        lines.append(_row("it has waited for five minutes and nobody provisions", late))
    return lines


@contextlib.contextmanager
def _pair(
    bench: Workbench, settings: Callable[[Node], Mapping[str, Setting]] = lambda _: {}, *, certificates: bool = True
) -> Iterator[tuple[Server, Server, _Witness, _Witness]]:
    """Run a cluster of two with Streams that has been well for a moment."""
    members = nodes(2)
    logs = {node: bench.site.folder / f"{node.client}.log" for node in members}

    def plan() -> Mapping[Node, Mapping[str, Setting]]:
        store = bench.site.folder / f"stores-{members[0].client}"
        return {
            node: {
                "network__stream__store": store / node.identity,
                "logfile": logs[node],
                "loglevel": "info",
                **peers(*members),
                **settings(node),
            }
            for node in members
        }

    first, second = network(bench.site, plan, OURS)
    witnesses = []
    for member, node in zip((first, second), members, strict=True):
        witnesses.append(_Witness(node, logs[node], Path(member.command[-1])))
    with first.running() as one, second.running() as two:
        if certificates:
            wait_linked(bench.site, first, second)
        _wait({each.node.identity: each.reports(_well) for each in witnesses})
        yield one, two, witnesses[0], witnesses[1]


def _well(found: Mapping[str, Any]) -> bool:
    """A broker is well, has its streams, and has been looked at for the first time."""
    streams = found["streams_now"] and found["streams_now"]["standard"]
    return found["health"]["condition"] == "ok" and found["health_since"] > 0 and bool(streams)


def _reason(found: Mapping[str, Any], words: str) -> bool:
    return any(words in reason for reason in found["health"]["reasons"])


@contextlib.contextmanager
def _publishing(bench: Workbench, server: Server) -> Iterator[None]:
    """Publish to a stream all the time."""
    node = Node("publisher.example.net", client=server.port)
    context = bench.site.authority.context(bench.site.client)
    done = threading.Event()

    async def publish() -> None:
        async with client_of(node, context) as client:
            while not done.is_set():
                await client.publish("choria.lifecycle.event.test", bytes(10_000))
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=asyncio.run, args=(publish(),))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _fill(disk: Path, left: int) -> None:
    """Leave so many bytes of a disk, and more exactly none for 0."""
    found = os.statvfs(disk)
    with (disk / f"filler-{left}").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        file.write(bytes(max(found.f_bavail * found.f_frsize - left, 0)))
        while not left:
            file.write(bytes(4096))


def _signal(server: Server, number: signal.Signals) -> None:
    for process in server.processes:
        process.send_signal(number)


def _times(act: Callable[[], object], **looks: Look) -> Mapping[str, float]:
    began = time.monotonic()
    act()
    return _wait(looks, began)


def _wait(looks: Mapping[str, Look], began: float | None = None) -> Mapping[str, float]:
    """Return the seconds until each word was there."""
    began = time.monotonic() if began is None else began
    seconds: dict[str, float] = {}
    while len(seconds) < len(looks):
        for name, look in looks.items():
            with contextlib.suppress(OSError):  # It may not serve its pages yet.
                if name not in seconds and look():
                    seconds[name] = time.monotonic() - began
        if time.monotonic() - began > _DEADLINE:
            missing = ", ".join(set(looks) - set(seconds))
            raise MeasurementError(f"no word within {_DEADLINE:.0f} s: {missing}")
        time.sleep(_LOOK)
    return seconds


def _row(trouble: str, seconds: Mapping[str, float], aim: str = "") -> Row:
    words = ", ".join(f"{name} {found:.1f} s" for name, found in seconds.items())
    return Row(f"First word: {trouble}", words, _NO_PEER, "", aim)


def _costs(bench: Workbench) -> list[Line]:
    """Watch one of three members with Streams, and connections on which nothing is said; and a bare nats-server."""
    held, seconds = bench.scale.held, bench.scale.watched_seconds * 6
    what = f"idle, {held:,} connections, 3 members with Streams, {seconds:.0f} s"
    if raise_file_limit(held) < held:
        return [LeftOut(f"Cost, {what}", "the open file limit is too low")]
    members = nodes(3)

    def plan() -> Mapping[Node, Mapping[str, Setting]]:
        store = bench.site.folder / "watched"
        return {node: {"network__stream__store": store / node.identity, **peers(*members)} for node in members}

    ours = _watched(bench, network(bench.site, plan, OURS), seconds)
    members = nodes(3)
    bare = _watched(bench, network(bench.site, plan, BARE), seconds)
    share = ours.python / seconds
    return [
        Row(f"CPU of the Python process, {what}", f"{share:.2%} of a core", "a core", f"{share:.4f}", "under 1 %"),
        Row(
            f"CPU of the engine, {what}",
            f"{ours.engine / seconds:.2%} of a core",
            f"{BARE}: {bare.engine / seconds:.2%}",
            f"{ours.engine / bare.engine:.2f}" if bare.engine else "",
        ),
        Row(
            f"Bytes on loopback in a minute, all three members, {what}",
            _kilobytes(ours.wire * 60 / seconds),
            f"{BARE}: {_kilobytes(bare.wire * 60 / seconds)}",
            f"{ours.wire / bare.wire:.2f}" if bare.wire else "",
        ),
        Row(
            f"Bytes that the Python process reads in a minute, {what}",
            _kilobytes(ours.read * 60 / seconds),
            _NO_PEER,
            "",
        ),
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class _Cost:
    """What a member has used while it had nothing to do.

    Attributes:
        python, engine: seconds of CPU; of a nats-server there is only the second.
        wire: bytes over loopback, of all members.
        read: bytes that the Python process has read, 0 for a nats-server.
    """

    python: float
    engine: float
    wire: int
    read: int


def _watched(bench: Workbench, members: tuple[Member, ...], seconds: float) -> _Cost:
    with contextlib.ExitStack() as stack:
        first, *_ = [stack.enter_context(member.running()) for member in members]
        wait_linked(bench.site, members[0], members[1])
        stack.enter_context(connections(bench.connector, bench.site, first, bench.scale.held))
        time.sleep(bench.scale.watched_seconds)  # Neither is done with the connections yet.
        before, wire_before, read_before = first.cpu(), _loopback(), _read(first)
        time.sleep(seconds)
        after, wire_after, read_after = first.cpu(), _loopback(), _read(first)
    used = [late - early for early, late in zip(before, after, strict=True)]
    return _Cost(sum(used[:-1]), used[-1], wire_after - wire_before, read_after - read_before)


def _loopback() -> int:
    return int(psutil.net_io_counters(pernic=True)["lo"].bytes_sent)


def _read(server: Server) -> int:
    return int(server.processes[0].io_counters().read_chars) if len(server.processes) > 1 else 0


def _kilobytes(size: float) -> str:
    return f"{size / 1000:,.0f} kB"
