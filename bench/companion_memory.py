"""Ten minutes of a steady flow through an adapter and a federation broker: their memory stays what it was.

Both run beside a network broker with streams. A part of what comes is garbage.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil

from bench.building import MeasurementError
from bench.federated_load import CLUSTER
from bench.results import Line, Pairs
from bench.servers import Site, broker_command, running, until_open
from bench.workbench import Workbench
from choria_broker.background import beside
from choria_broker.companions.dialling import Dial
from choria_broker.companions.links import Link, Links
from choria_broker.companions.wire import Message
from choria_broker.control.client import ask_status
from choria_broker.errors import BrokerError
from choria_broker.settings.companions import Side, SideTls
from support.registrations import message
from support.testbed import configuration, free_port
from support.transports import message as federated

_TOPIC, _SUBJECT, _STREAM = "bench.registration", "bench.documents", "DOCUMENTS"
_REPLY = "mcollective.reply.bench"
_BEAT = 0.1
_PER_BEAT = 40
"""Messages of each kind: registration data, requests and replies."""

_GARBAGE_EVERY = 20

_GARBAGE = (b"", b'{"protocol":"choria:transport:1","data":"","headers":null}', b"[" * 5000, b"\xff" * 300, b"{}")
_BODY = "x" * 1200
_READY = 60.0
_MEGABYTE = 1_000_000


@dataclasses.dataclass(slots=True)
class _Arrived:
    """What has come through: documents, requests at their targets, replies at the client."""

    documents: int = 0
    requests: int = 0
    replies: int = 0


def measure(bench: Workbench) -> list[Line]:
    """Watch the resident memory of each process, minute by minute."""
    with bench.site.twin() as federation:
        port = free_port()
        path = _configuration(bench.site, port, federation.port)
        with running(broker_command(path), bench.site.environment) as (process, began):
            until_open(port, process, began)
            found = asyncio.run(_watched(bench, path, (federation.port, port)))
    minutes, steps = (
        len(next(iter(found.values()))) - 1,
        "; ".join(
            f"{name}: {' '.join(_written(size).removesuffix(' MB') for size in sizes)} MB"
            for name, sizes in found.items()
        ),
    )
    print(f"resident memory, minute by minute: {steps}", flush=True)
    return [
        Pairs([sizes[-1]], [sizes[1]]).row(
            f"Resident memory of {name} after {minutes} minutes of a steady flow", "after one", _written, aim="flat"
        )
        for name, sizes in found.items()
    ]


def _written(size: float) -> str:
    return f"{size / _MEGABYTE:.1f} MB"


async def _watched(bench: Workbench, path: Path, ports: tuple[int, int]) -> dict[str, list[int]]:
    """Keep the flow up, and return the bytes of each process at its beginning and after each minute."""
    arrived = _Arrived()
    async with _ends(bench.site, ports, arrived) as (clients, servers), beside(_flow(clients, servers), "flow"):
        processes = await _ready(path, arrived)
        found = {name: [each.memory_info().rss] for name, each in processes.items()}
        for _ in range(bench.scale.steady_minutes):
            before = dataclasses.astuple(arrived)
            await asyncio.sleep(60)
            if any(now == then for now, then in zip(dataclasses.astuple(arrived), before, strict=True)):
                raise MeasurementError("the flow has stopped")
            for name, each in processes.items():
                found[name].append(each.memory_info().rss)
        return found


async def _ready(path: Path, arrived: _Arrived) -> dict[str, psutil.Process]:
    """Wait until everything comes through, and return the processes by what they are."""
    until = time.monotonic() + _READY
    while time.monotonic() < until:
        await asyncio.sleep(1)
        with contextlib.suppress(BrokerError):
            status = await asyncio.to_thread(ask_status, path)
            companions = {each.kind: each.processes for each in status.companions}
            if all(dataclasses.astuple(arrived)):
                named = {
                    f"the {kind}'s process {number}": psutil.Process(pid)
                    for kind, pids in sorted(companions.items())
                    for number, pid in enumerate(pids)
                }
                (first,) = {psutil.Process(pid).ppid() for pids in companions.values() for pid in pids}
                return {"the broker's own process": psutil.Process(first), **named}
    raise MeasurementError("the adapter or the federation broker does not get ready")


@contextlib.asynccontextmanager
async def _ends(site: Site, ports: tuple[int, int], arrived: _Arrived) -> AsyncIterator[tuple[Link, Link]]:
    """Connect to both networks, make the stream, and count what comes."""
    client = site.client
    tls = SideTls(certificate=str(client.certificate), key=str(client.key), ca=str(site.authority.ca))
    links = Links(
        {
            name: Dial(Side(name=name, servers=(f"localhost:{port}",), tls=tls), None, _nobody)
            for name, port in zip(("federation", "collective"), ports, strict=True)
        }
    )

    def counting(name: str) -> Callable[[list[Message]], None]:
        def heard(batch: list[Message]) -> None:
            setattr(arrived, name, getattr(arrived, name) + len(batch))

        return heard

    async with links.kept():
        clients, servers = links.link("federation", "bench"), links.link("collective", "bench")
        clients.subscribe(_REPLY, "", counting("replies"))
        servers.subscribe("mcollective.node.>", "", counting("requests"))
        servers.subscribe(_SUBJECT, "", counting("documents"))
        await asyncio.gather(clients.room(), servers.room())
        wanted = {"name": _STREAM, "subjects": [_SUBJECT], "storage": "file", "num_replicas": 1, "max_msgs": 10_000}
        servers.publish(f"$JS.API.STREAM.CREATE.{_STREAM}".encode(), json.dumps(wanted).encode())
        yield clients, servers


async def _flow(clients: Link, servers: Link) -> None:
    """Send a few messages of each kind ten times a second."""
    targets = [f"mcollective.node.web{number}" for number in range(10)]
    request = federated({"reply-to": _REPLY, "federation": {"req": "1", "target": targets}})
    reply = federated({"federation": {"req": "1", "reply-to": _REPLY}})
    documents = [message(body=_BODY, sender=f"web{number}.example.net") for number in range(100)]
    kinds = (
        (clients, f"choria.federation.{CLUSTER}.federation".encode(), [request]),
        (servers, f"choria.federation.{CLUSTER}.collective".encode(), [reply]),
        (servers, _TOPIC.encode(), documents),
    )
    sent = 0
    while True:
        for _ in range(_PER_BEAT):
            sent += 1
            for link, subject, messages in kinds:
                few, rest = divmod(sent, _GARBAGE_EVERY)
                link.publish(subject, messages[sent % len(messages)] if rest else _GARBAGE[few % len(_GARBAGE)])
        await asyncio.sleep(_BEAT)


async def _nobody(_record: str) -> tuple[str, ...]:
    return ()


def _configuration(site: Site, port: int, federation: int) -> Path:
    folder = site.folder / "steady"
    folder.mkdir()
    settings: dict[str, str | int | bool | Path] = {
        "logfile": folder / "broker.log",
        "loglevel": "warn",
        "network__client_port": port,
        "network__stream__store": folder / "store",
        "plugin__choria__broker_federation": True,
        "plugin__choria__federation__cluster": CLUSTER,
        "plugin__choria__federation_middleware_hosts": f"localhost:{federation}",
        "plugin__choria__adapters": "bench",
        "plugin__choria__adapter__bench__type": "choria_streams",
        "plugin__choria__adapter__bench__ingest__topic": _TOPIC,
        "plugin__choria__adapter__bench__ingest__protocol": "request",
        "plugin__choria__adapter__bench__stream__topic": _SUBJECT,
    }
    return configuration(folder, site.authority, **settings)
