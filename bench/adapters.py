"""Documents that an adapter makes and has stored, beside the adapter of go-choria."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import operator
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from bench.building import MeasurementError
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import GO_CHORIA, Command, Server, Site, broker_command, running, until_open
from bench.workbench import Workbench
from choria_broker.companions.dialling import Dial
from choria_broker.companions.links import Link, Links
from choria_broker.companions.wire import Message
from choria_broker.settings.companions import Side, SideTls
from support.registrations import message
from support.testbed import Identity, free_port

_TOPIC, _SUBJECT, _STREAM = "bench.registration", "bench.documents", "DOCUMENTS"
_BODY = "x" * 1200
_OUTSTANDING = 500
"""Messages that may be in an adapter; its queue holds 1,000."""

_READY = 60.0
_STALLED = 20.0
_NETWORK = """host: 127.0.0.1
port: {port}
tls {{
  cert_file: {own.certificate}
  key_file: {own.key}
  ca_file: {ca}
  verify: true
}}
jetstream {{ store_dir: "{store}" }}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class _Sample:
    """What one run of an adapter found.

    Attributes:
        rate: documents a second.
        cost: seconds of CPU for each.
        lost: how many of a hundred did not arrive.
    """

    rate: float
    cost: float
    lost: float


def measure(bench: Workbench) -> list[Line]:
    """Measure the rate of documents that arrive in a stream, and their price."""
    if bench.choria is None:
        return [LeftOut("Documents of an adapter", "no choria program: set CHORIA_BIN or put choria on PATH")]
    with _network(bench.site) as port:
        parties: tuple[Command, ...] = (
            broker_command(_configuration(bench.site, port, "adapter")),
            [bench.choria, "broker", "run", "--config", _configuration(bench.site, port, "go-adapter")],
        )
        count = bench.scale.published
        samples = [functools.partial(_sample, bench.site, port, command, count) for command in parties]
        ours, theirs = in_turns(bench.scale.turns, *samples)
    rates, costs, losses = (
        Pairs([found(each) for each in ours], [found(each) for each in theirs])
        for found in (operator.attrgetter(name) for name in ("rate", "cost", "lost"))
    )
    return [
        rates.row("Documents of an adapter per second, 1.2 KB, into a stream, TLS", GO_CHORIA, _rate, "1.5 or more"),
        costs.row("CPU of the adapter for each", GO_CHORIA, _time, "0.5 or less"),
        losses.row("Of them lost", GO_CHORIA, lambda share: f"{share:.2f} %"),
    ]


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"


def _sample(site: Site, port: int, command: Command, count: int) -> _Sample:
    with running(command, site.environment) as (process, _):
        return asyncio.run(_loaded(site, port, process, count))


async def _loaded(site: Site, port: int, process: psutil.Process, count: int) -> _Sample:
    """Send messages while few are outstanding, until all have become documents or no more do."""
    client = site.client
    tls = SideTls(certificate=str(client.certificate), key=str(client.key), ca=str(site.authority.ca))
    links = Links({"network": Dial(Side(name="network", servers=(f"localhost:{port}",), tls=tls), None, _nobody)})
    arrived, news = 0, asyncio.Event()

    def heard(batch: list[Message]) -> None:
        nonlocal arrived
        arrived += len(batch)
        news.set()

    async with links.kept():
        link = links.link("network", "bench")
        link.subscribe(_SUBJECT, "", heard)
        await link.room()
        link.publish(
            f"$JS.API.STREAM.CREATE.{_STREAM}".encode(),
            json.dumps({"name": _STREAM, "subjects": [_SUBJECT], "storage": "file", "num_replicas": 1}).encode(),
        )
        await _ready(link, news, lambda: arrived)
        data = message(body=_BODY)
        base, sent, last = arrived, 0, time.perf_counter()
        party = Server("", 0, 0, (process, *process.children(recursive=True)))
        before, began = sum(party.cpu()), time.perf_counter()
        while arrived - base < count and time.perf_counter() - last < _STALLED:
            while sent < count and sent - (arrived - base) < _OUTSTANDING:
                link.publish(_TOPIC.encode(), data)
                sent += 1
            news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await news.wait()
                    last = time.perf_counter()
        seconds, cpu = last - began, sum(party.cpu()) - before
    done = arrived - base
    if not done:
        raise MeasurementError("no document arrived")
    return _Sample(done / seconds, cpu / done, 100 * (count - done) / count)


async def _ready(link: Link, news: asyncio.Event, count: Callable[[], int]) -> None:
    """Send messages until all that were sent have become documents."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < _READY:
        before, sent = count(), 20
        for _ in range(sent):
            link.publish(_TOPIC.encode(), message(body=_BODY))
        until = time.perf_counter() + 2
        while count() - before < sent and time.perf_counter() < until:
            news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await news.wait()
        if count() - before >= sent:
            return
    raise MeasurementError("the adapter does not get ready")


async def _nobody(_record: str) -> tuple[str, ...]:
    return ()


@contextlib.contextmanager
def _network(site: Site) -> Iterator[int]:
    """Run a server with streams; yields its port."""
    own: Identity = site.authority.issue("adapters.example.net", "127.0.0.1", "localhost")
    port = free_port()
    path, store = site.folder / f"{port}.conf", tempfile.mkdtemp(dir=site.folder)
    text = _NETWORK.format(port=port, own=own, ca=site.authority.ca, store=store)
    path.write_text(text, encoding="utf-8")
    with running([site.twin_program, "--config", path], site.environment) as (process, began):
        until_open(port, process, began)
        yield port


def _configuration(site: Site, port: int, name: str) -> Path:
    """Write a configuration that both programs read."""
    own = site.authority.issue(f"{name}.example.net", rsa=True)
    path = site.folder / f"{name}.conf"
    path.write_text(
        f"identity = {name}.example.net\n"
        f"logfile = {site.folder / name}.log\n"
        "loglevel = warn\n"
        "plugin.choria.use_srv = false\n"
        "plugin.choria.adapters = bench\n"
        "plugin.choria.adapter.bench.type = choria_streams\n"
        f"plugin.choria.adapter.bench.ingest.topic = {_TOPIC}\n"
        "plugin.choria.adapter.bench.ingest.protocol = request\n"
        f"plugin.choria.adapter.bench.stream.topic = {_SUBJECT}\n"
        f"plugin.choria.adapter.bench.stream.servers = localhost:{port}\n"
        f"plugin.choria.middleware_hosts = localhost:{port}\n"
        "plugin.security.provider = file\n"
        f"plugin.security.file.certificate = {own.certificate}\n"
        f"plugin.security.file.key = {own.key}\n"
        f"plugin.security.file.ca = {site.authority.ca}\n",
        encoding="utf-8",
    )
    return path
