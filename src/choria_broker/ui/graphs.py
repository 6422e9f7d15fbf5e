"""The last hour as graphs: drawn by the server, so that they are there without scripts, and as figures in a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from choria_broker.stats.history import SERIES, Drawn, Series, Unit
from choria_broker.wording import in_bytes

WIDTH, HEIGHT = 600.0, 120.0
"""Units of a drawing, which is stretched to its place."""

_POINTS = 120
"""Points of a line that can be told apart."""

_UNSURE = 3
"""Latest points of which some may not be known yet."""

_ROW = 300.0
"""Seconds of a row of the table."""

UNKNOWN = "\N{EN DASH}"
"""Stands for what is not known."""

_BINARY, _DECIMAL = 1024.0, 10.0
_FEW, _MANY = 10.0, 1000.0


class Line(msgspec.Struct, frozen=True):
    """One line of a graph.

    Attributes:
        name: of its series.
        title: for people.
        label: what it is called in its graph, empty where it is alone.
        path: its points, as a path of SVG; empty where nothing is known.
        latest, mean, most: in words with their unit; a dash where nothing is known.
    """

    name: str
    title: str
    label: str
    path: str
    latest: str
    mean: str
    most: str


class Graph(msgspec.Struct, frozen=True):
    """Some lines over the same time.

    Attributes:
        name: of the graph.
        title: for people.
        unit: of its values, and the one to write them in.
        top: the value at its upper edge, in words.
        ceiling: the same as a number.
        lines: what it shows.
    """

    name: str
    title: str
    unit: Unit
    top: str
    ceiling: float
    lines: tuple[Line, ...]

    @property
    def sentence(self) -> str:
        """Tell what is to be seen, for those who do not see it."""
        told = (f"{each.title}: now {each.latest}, mean {each.mean}, most {each.most}" for each in self.lines)
        return f"{self.title}. {'. '.join(told)}."


class Row(msgspec.Struct, frozen=True):
    """A few minutes in figures.

    Attributes:
        time: when they began, Unix seconds.
        figures: mean of each series, in words.
    """

    time: float
    figures: tuple[str, ...]


class Plot(msgspec.Struct, frozen=True):
    """Which lines stand in one graph.

    Attributes:
        name: of the graph.
        title: for people.
        series: names of the series, with what each is called in this graph; empty where there is one only.
    """

    name: str
    title: str
    series: Mapping[str, str]


PLOTS = (
    Plot("connections", "Connections", {"connections": ""}),
    Plot("logins", "Logins", {"logins": "accepted", "refusals": "refused"}),
    Plot("messages", "Messages", {"messages_in": "in", "messages_out": "out"}),
    Plot("bytes", "Bytes", {"bytes_in": "in", "bytes_out": "out"}),
    Plot("cpu", "CPU, of one core", {"broker_cpu": "broker", "engine_cpu": "engine"}),
    Plot("memory", "Memory", {"broker_memory": "broker", "engine_memory": "engine"}),
    Plot("decision", "Time of a decision", {"decision": ""}),
    Plot("slow_consumers", "Slow consumers", {"slow_consumers": ""}),
)
"""What every broker has."""

STORE = Plot("store", "Store of streams", {"store": ""})
WAITING = Plot("nodes", "Nodes that wait", {"nodes": ""})
NODE_LOGINS = Plot("node_logins", "Logins of nodes", {"node_logins": ""})

_BY_NAME = {each.name: each for each in SERIES}


def graphs(drawn: Drawn, plots: Sequence[Plot] = PLOTS) -> tuple[Graph, ...]:
    """Draw graphs.

    Args:
        drawn: the hour.
        plots: which.
    """
    return tuple(_graph(drawn, each) for each in plots)


def rows(drawn: Drawn, plots: Sequence[Plot] = PLOTS) -> tuple[Row, ...]:
    """Write the hour in figures, the latest minutes first."""
    names = columns(plots)
    places = [(math.floor(time / _ROW) * _ROW, at) for at, time in enumerate(drawn.times)]
    found = []
    for begin, group in itertools.groupby(places, key=lambda place: place[0]):
        at = [each for _, each in group]
        means = (_mean([drawn.values[each][place] for place in at]) for each in names)
        found.append(Row(begin, tuple(figure(mean, each.unit) for mean, each in zip(means, names, strict=True))))
    return tuple(reversed(found))


def columns(plots: Sequence[Plot] = PLOTS) -> tuple[Series, ...]:
    """Name the series of graphs, in order."""
    return tuple(_BY_NAME[name] for plot in plots for name in plot.series)


def figure(value: float | None, unit: Unit) -> str:
    """Write a value with its unit for people; a dash when it is not known."""
    if value is None:
        return UNKNOWN
    if unit is Unit.BYTES:
        return in_bytes(value)
    if unit is Unit.BYTE_RATE:
        return f"{in_bytes(value)}/s"
    return f"{_number(value)}{_SIGNS.get(unit, '')}"


_SIGNS = {Unit.CORE: " %", Unit.MILLISECONDS: " ms", Unit.RATE: "/s", Unit.MINUTE: "/min"}


def _number(value: float) -> str:
    if value == 0 or value >= _MANY or value == round(value):
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if value >= _FEW:
        return f"{value:.1f}"
    return f"{value:.2g}" if value < 1 else f"{value:.2f}"


def _graph(drawn: Drawn, plot: Plot) -> Graph:
    series = [_BY_NAME[name] for name in plot.series]
    unit = series[0].unit
    values = [drawn.values[each] for each in series]
    ceiling = _ceiling(max((each for line in values for each in line if each is not None), default=0.0), unit)
    drawn_lines = zip(series, plot.series.values(), values, strict=True)
    lines = tuple(_line(each, label, line, ceiling) for each, label, line in drawn_lines)
    return Graph(plot.name, plot.title, unit, figure(ceiling, unit), ceiling, lines)


def _line(series: Series, label: str, values: Sequence[float | None], ceiling: float) -> Line:
    known = [each for each in values if each is not None]
    return Line(
        name=series.name,
        title=series.title,
        label=label,
        path="".join(_path(values, ceiling)),
        latest=figure(next((each for each in reversed(values[-_UNSURE:]) if each is not None), None), series.unit),
        mean=figure(_mean(values), series.unit),
        most=figure(max(known, default=None), series.unit),
    )


def _path(values: Sequence[float | None], ceiling: float) -> Iterator[str]:
    """Draw a line with gaps where nothing is known; of points too close together the mean counts."""
    together = max(math.ceil(len(values) / _POINTS), 1)
    means = [_mean(values[at : at + together]) for at in range(0, len(values), together)]
    across = WIDTH / max(len(means) - 1, 1)
    pen_is_up = True
    for at, mean in enumerate(means):
        if mean is None:
            pen_is_up = True
            continue
        place = f"{at * across:.0f} {HEIGHT - min(mean / ceiling, 1.0) * HEIGHT:.1f}"
        alone = pen_is_up and (at + 1 == len(means) or means[at + 1] is None)
        yield f"M{place}h1" if alone else f"{'M' if pen_is_up else 'L'}{place}"
        pen_is_up = False


def _mean(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) / len(known) if known else None


def _ceiling(most: float, unit: Unit) -> float:
    """Return a round number that is not below the largest value."""
    if most <= 0:
        return 1.0
    base = 1.0
    if unit in {Unit.BYTES, Unit.BYTE_RATE}:
        while most / base >= _BINARY:
            base *= _BINARY
    exponent = math.floor(math.log10(most / base))
    rounds = (float(f"{step * _DECIMAL**exponent:.6g}") * base for step in (1.0, 2.0, 5.0, 10.0))
    return next((each for each in rounds if each >= most), most)
