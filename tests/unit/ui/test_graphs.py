"""The last hour as graphs and in figures."""

from __future__ import annotations

import re

import pytest

from choria_broker.stats.history import SERIES, History, Kept, Unit
from choria_broker.ui.graphs import HEIGHT, PLOTS, UNKNOWN, WIDTH, columns, figure, graphs, rows
from support.scene import hour

POINT = re.compile(r"(\d+) (-?[\d.]+)")


def levels(*connections: float | None) -> History:
    history = History(10.0)
    for step, each in enumerate(connections):
        history.take(1e9 + 10 * step, Kept.READ_AT, {Kept.CONNECTIONS: each})
    return history


def path(*connections: float | None) -> str:
    return graphs(levels(*connections).drawn())[0].lines[0].path


def test_every_graph_has_its_lines_and_stays_in_its_place() -> None:
    for graph in graphs(hour().drawn()):
        for line in graph.lines:
            points = [(float(x), float(y)) for x, y in POINT.findall(line.path)]
            assert len(points) > 50
            assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points), graph.name
        assert graph.title in graph.sentence
        assert all(line.latest in graph.sentence for line in graph.lines)


def test_a_graph_takes_no_more_than_two_kilobytes_a_line() -> None:
    assert max(len(line.path) for graph in graphs(hour().drawn()) for line in graph.lines) < 2048


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), ""),
        ((10,), "M0 0.0h1"),
        ((0, 10), "M0 120.0L600 0.0"),
        ((10, None, None, None, None, 10), "M0 0.0L120 0.0L240 0.0M600 0.0h1"),
    ],
)
def test_a_line_has_gaps_where_nothing_is_known(values: tuple[float | None, ...], expected: str) -> None:
    assert path(*values) == expected


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, "1"), (1, "1"), (3, "5"), (7, "10"), (11, "20"), (4200, "5\u202f000"), (100_000, "100\u202f000")],
)
def test_the_upper_edge_is_a_round_number(most: float, top: str) -> None:
    graph = graphs(levels(0, most).drawn())[0]
    assert graph.top == top
    assert graph.ceiling >= most


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, Unit.RATE, UNKNOWN),
        (0.0, Unit.RATE, "0/s"),
        (0.0123, Unit.RATE, "0.012/s"),
        (1.234, Unit.MINUTE, "1.23/min"),
        (12.34, Unit.CORE, "12.3 %"),
        (1234.5, Unit.NUMBER, "1\u202f234"),
        (0.37, Unit.MILLISECONDS, "0.37 ms"),
        (1 << 20, Unit.BYTES, "1.0 MiB"),
        (1 << 20, Unit.BYTE_RATE, "1.0 MiB/s"),
    ],
)
def test_figures(value: float | None, unit: Unit, text: str) -> None:
    assert figure(value, unit) == text


def test_the_table_has_means_of_five_minutes_the_latest_first() -> None:
    found = rows(hour().drawn())
    assert len(found) in {12, 13}
    assert [each.time for each in found] == sorted((each.time for each in found), reverse=True)
    assert all(each.time % 300 == 0 and len(each.figures) == len(columns()) for each in found)
    assert rows(levels(10, 20, 30).drawn())[0].figures[0] == "20"


def test_every_series_is_drawn_somewhere() -> None:
    elsewhere = {"store", "nodes", "node_logins"}
    assert {name for plot in PLOTS for name in plot.series} == {each.name for each in SERIES} - elsewhere


@pytest.mark.parametrize(
    ("values", "latest"),
    [((1, 2, 3), "3"), ((1, 2, None), "2"), ((1, None, None), "1"), ((1, None, None, None, None, None), UNKNOWN)],
)
def test_what_is_told_as_latest_may_be_a_moment_old(values: tuple[float | None, ...], latest: str) -> None:
    history = levels(*values)
    history.take(1e9 + 10 * len(values) - 10, Kept.COUNTED_AT, {Kept.LOGINS: 1})
    drawn = history.drawn()
    assert len(drawn.times) == len(values)
    found = graphs(drawn)[0].lines[0]
    assert found.latest == latest
