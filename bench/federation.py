"""The federation broker between two networks, beside that of go-choria."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import operator
import statistics
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.federated_load import CLUSTER, Ends, MessageKind
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import GO_CHORIA, Command, Server, Site, broker_command, running, until_open
from bench.workbench import Workbench
from support.testbed import Identity, free_port

_KINDS = (
    MessageKind("requests with 10 targets", request=True, targets=10, payload=1200, in_flight=100),
    MessageKind("requests with 200 targets", request=True, targets=200, payload=1200, in_flight=10),
    MessageKind("replies", request=False, targets=1, payload=400, in_flight=100),
)
_ONE = MessageKind("requests with one target", request=True, targets=1, payload=1200, in_flight=1)
_NETWORK = """host: 127.0.0.1
port: {port}
allow_non_tls: true
tls {{
  cert_file: {own.certificate}
  key_file: {own.key}
  ca_file: {ca}
  verify: true
}}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class _Load:
    """What a federation broker made of messages of one kind.

    Attributes:
        rate: messages a second.
        cost: seconds of CPU for each target.
        lost: how many of a hundred did not arrive.
    """

    rate: float
    cost: float
    lost: float


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """What one run of a federation broker found.

    Attributes:
        loads: by kind of messages.
        added: seconds that a message takes longer than without it, at the 99th percentile.
    """

    loads: tuple[_Load, ...]
    added: float


def measure(bench: Workbench) -> list[Line]:
    """Measure rates and CPU of requests and replies, and what is added to the time of a message."""
    if bench.choria is None:
        return [LeftOut("Federated messages", "no choria program: set CHORIA_BIN or put choria on PATH")]
    with _networks(bench.site) as ports, contextlib.closing(Ends(*ports)) as ends:
        parties: tuple[Command, ...] = (
            broker_command(_configuration(bench.site, ports, "federation")),
            [bench.choria, "broker", "run", "--config", _configuration(bench.site, ports, "go-federation")],
        )
        samples = [functools.partial(_sample, bench, ends, command) for command in parties]
        ours, theirs = in_turns(bench.scale.turns, *samples)
    lines: list[Line] = []
    for number, kind in enumerate(_KINDS):
        mine, others = ([each.loads[number] for each in samples] for samples in (ours, theirs))
        rates, costs, losses = (
            Pairs([found(each) for each in mine], [found(each) for each in others])
            for found in (operator.attrgetter(name) for name in ("rate", "cost", "lost"))
        )
        lines += [
            rates.row(f"Federated {kind.words} per second, TLS", GO_CHORIA, _written_rate, "0.8 or more"),
            costs.row(
                f"CPU of the federation broker for each target, {kind.words}", GO_CHORIA, _written, "2.0 or less"
            ),
            losses.row("Of them lost", GO_CHORIA, lambda share: f"{share:.2f} %"),
        ]
    added = Pairs([each.added for each in ours], [each.added for each in theirs])
    return [*lines, added.row("Added to the time of a federated message, p99", GO_CHORIA, _written)]


def _written_rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s"


def _written(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"


def _sample(bench: Workbench, ends: Ends, command: Command) -> _Sample:
    with running(command, bench.site.environment) as (process, _):
        ends.wait_ready()
        loads = [_load(process, ends, kind, bench.scale.small_messages // (kind.targets + 9)) for kind in _KINDS]
        slow, fast = (
            statistics.quantiles(ends.round_trips(_ONE, bench.scale.decisions, direct=direct), n=100)[-1]
            for direct in (False, True)
        )
    return _Sample(tuple(loads), slow - fast)


def _load(process: psutil.Process, ends: Ends, kind: MessageKind, messages: int) -> _Load:
    party = Server("", 0, 0, (process, *process.children(recursive=True)))
    before = sum(party.cpu())
    sent = ends.sent(kind, messages)
    cpu = sum(party.cpu()) - before
    rate = sent.arrived / kind.targets / sent.seconds
    return _Load(rate, cpu / sent.arrived, 100 * sent.lost / (sent.arrived + sent.lost))


@contextlib.contextmanager
def _networks(site: Site) -> Iterator[tuple[int, int]]:
    """Run two servers that know nothing of each other; yields their ports."""
    own = site.authority.issue("networks.example.net", "127.0.0.1", "localhost")
    with contextlib.ExitStack() as stack:
        federation, collective = (stack.enter_context(_network(site, own)) for _ in range(2))
        yield federation, collective


@contextlib.contextmanager
def _network(site: Site, own: Identity) -> Iterator[int]:
    port = free_port()
    path = site.folder / f"{port}.conf"
    path.write_text(_NETWORK.format(port=port, own=own, ca=site.authority.ca), encoding="utf-8")
    with running([site.twin_program, "--config", path], site.environment) as (process, began):
        until_open(port, process, began)
        yield port


def _configuration(site: Site, ports: tuple[int, int], name: str) -> Path:
    """Write a configuration that both programs read."""
    own = site.authority.issue(f"{name}.example.net", rsa=True)
    path = site.folder / f"{name}.conf"
    federation, collective = ports
    path.write_text(
        f"identity = {name}.example.net\n"
        f"logfile = {site.folder / name}.log\n"
        "loglevel = warn\n"
        "plugin.choria.use_srv = false\n"
        "plugin.choria.broker_federation = true\n"
        f"plugin.choria.federation.cluster = {CLUSTER}\n"
        f"plugin.choria.federation_middleware_hosts = 127.0.0.1:{federation}\n"
        f"plugin.choria.middleware_hosts = 127.0.0.1:{collective}\n"
        "plugin.security.provider = file\n"
        f"plugin.security.file.certificate = {own.certificate}\n"
        f"plugin.security.file.key = {own.key}\n"
        f"plugin.security.file.ca = {site.authority.ca}\n",
        encoding="utf-8",
    )
    return path
