"""What a scrape of the metrics takes: time, size, and CPU of the engine."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.client
import socket
import statistics
import tempfile
import time
from pathlib import Path

from bench.building import MeasurementError
from bench.load import connections
from bench.networks import network
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import OURS, Server, until_open
from bench.workbench import Workbench
from choria_broker.host.limits import raise_file_limit
from support.topology import Node, nodes

_METRICS, _VARZ = "/choria/metrics", "/varz"
_VARZ_ALONE = "the engine's own /varz"
_DEADLINE = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Scrapes:
    """What a number of scrapes found.

    Attributes:
        seconds: how long each took.
        size: bytes of the last answer.
    """

    seconds: tuple[float, ...]
    size: int

    @property
    def slowest(self) -> float:
        """Seconds of the slowest but one in a hundred."""
        return sorted(self.seconds)[int(0.99 * (len(self.seconds) - 1))]


def measure(bench: Workbench) -> list[Line]:
    """Measure without connections and with many."""
    held = bench.scale.held
    if raise_file_limit(held) < held:
        return [LeftOut(f"Scrapes with {held:,} connections", "the open file limit is too low")]
    (member,) = network(bench.site, lambda: {node: {} for node in nodes(1)}, OURS)
    with member.running() as broker:
        until_open(
            member.node.statistics, broker.processes[0], time.perf_counter()
        )  # It opens a moment after the client port.
        pages = _pages(broker)
        lines, small = _times(bench, member.node, pages, "no connections")
        with connections(bench.connector, bench.site, broker, held):
            load = f"{held:,} connections"
            more, large = _times(bench, member.node, pages, load)
            size = Pairs([large], [small]).row(f"Size of {_METRICS}, {load}", "no connections", _kilobytes)
            return [*lines, *more, size, *_costs(bench, member.node, broker, load)]


def _times(bench: Workbench, node: Node, pages: Path, load: str) -> tuple[list[Line], int]:
    """Take scrapes of the metrics and of the engine's page in turns; returns rows, and the size of the metrics."""
    count = bench.scale.scrapes
    ours, theirs = in_turns(
        bench.scale.turns,
        functools.partial(_scrape, node.statistics, _METRICS, count),
        functools.partial(_scrape, pages, _VARZ, count),
    )
    medians = Pairs(*([statistics.median(one.seconds) for one in party] for party in (ours, theirs)))
    slowest = Pairs(*([one.slowest for one in party] for party in (ours, theirs)))
    return [
        medians.row(f"Scrape of {_METRICS}, median, {load}", _VARZ_ALONE, _milliseconds),
        slowest.row(f"Scrape of {_METRICS}, p99, {load}", _VARZ_ALONE, _milliseconds),
    ], ours[-1].size


def _costs(bench: Workbench, node: Node, broker: Server, load: str) -> list[Line]:
    """Watch a broker that has nothing else to do, with a scrape a second and without, in turns."""
    seconds = bench.scale.watched_seconds
    _watch(node, broker, seconds, scraping=True)  # The engine is not done with the connections yet.
    turns = [
        [_watch(node, broker, seconds, scraping=scraping) for scraping in (True, False)]
        for _ in range(bench.scale.memory_turns)
    ]
    return [
        Pairs([scraped[at] for scraped, _ in turns], [alone[at] for _, alone in turns]).row(
            f"CPU of the {process} in {seconds:.0f} s, 1 scrape a second, {load}", "no scrapes", _milliseconds
        )
        for at, process in ((-1, "engine"), (0, "Python process"))
    ]


def _watch(node: Node, broker: Server, seconds: float, *, scraping: bool) -> list[float]:
    """Return the seconds of CPU that each process uses."""
    began, before = time.perf_counter(), broker.cpu()
    for second in range(round(seconds)):
        if scraping:
            _scrape(node.statistics, _METRICS, 1)
        time.sleep(began + second + 1 - time.perf_counter())
    return [late - early for early, late in zip(before, broker.cpu(), strict=True)]


def _scrape(place: int | Path, path: str, count: int) -> _Scrapes:
    """Ask for a page again and again over one connection, as Prometheus does.

    Raises:
        MeasurementError: the answer is not the page.
    """
    times, size = [], 0
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", timeout=_DEADLINE)) as connection:
        connection.sock = _connected(place)
        for _ in range(count):
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            size = len(answer.read())
            times.append(time.perf_counter() - began)
            if answer.status != http.HTTPStatus.OK:
                raise MeasurementError(f"{path} answers with status {answer.status}")
    return _Scrapes(tuple(times), size)


def _connected(place: int | Path) -> socket.socket:
    if isinstance(place, int):
        return socket.create_connection(("127.0.0.1", place), timeout=_DEADLINE)
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(_DEADLINE)
    connected.connect(str(place))
    return connected


def _pages(broker: Server) -> Path:
    """Find the socket with the engine's own pages, in the broker's run directory.

    Raises:
        MeasurementError: there is none.
    """
    for found in Path(tempfile.gettempdir()).glob(f"choria-broker-run-{broker.processes[0].pid}-*/pages"):
        return found
    raise MeasurementError("the engine shows no pages")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _kilobytes(size: float) -> str:
    return f"{size / 1000:.1f} kB"
