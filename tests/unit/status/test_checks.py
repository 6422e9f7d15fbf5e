"""Checks for monitoring systems in their four formats, letter by letter as ``nats server check`` has them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.status.checks import Check, Level, Limits, Measure, Note, document, nagios, prometheus, text

CHECK = Check.of(
    "connections",
    "Connection",
    (
        Note(Level.OK, "answered"),
        Measure("rtt", 0.0123, "Round trip", "s", 0.5, 1.0),
        Note(Level.WARNING, "slow"),
        Note(Level.CRITICAL, "full"),
        Measure("connections", 7, "Active connections", critical=10),
        Measure("bytes", 2**40 + 1, "Bytes", "B"),
    ),
)


@pytest.mark.parametrize(
    ("levels", "expected", "status"),
    [
        ((), Level.OK, 0),
        ((Level.OK,), Level.OK, 0),
        ((Level.OK, Level.UNKNOWN), Level.UNKNOWN, 3),
        ((Level.UNKNOWN, Level.WARNING), Level.WARNING, 1),
        ((Level.WARNING, Level.CRITICAL, Level.UNKNOWN), Level.CRITICAL, 2),
    ],
)
def test_the_worst_is_the_level(levels: tuple[Level, ...], expected: Level, status: int) -> None:
    found = Check.of("k", "n", (Note(level, "x") for level in levels)).level
    assert (found, found.status) == (expected, status)


def test_nagios() -> None:
    (line,) = nagios(CHECK)
    assert line.split(" | ") == [
        "CRITICAL Connection Crit:full Warn:slow OK:answered",
        "rtt=0.0123s;0.5000;1.0000 connections=7;;10 bytes=1099511627777B",
    ]
    assert list(nagios(Check.of("k", "n", (Note(Level.UNKNOWN, "no answer"),)))) == ["UNKNOWN n Unknown:no answer"]


def test_one_json_object() -> None:
    assert document(CHECK) == {
        "status": "CRITICAL",
        "check_suite": "connections",
        "check_name": "Connection",
        "warning": ("slow",),
        "critical": ("full",),
        "ok": ("answered",),
        "perf_data": [
            {"name": "rtt", "value": 0.0123, "warning": 0.5, "critical": 1.0, "unit": "s"},
            {"name": "connections", "value": 7, "warning": 0.0, "critical": 10},
            {"name": "bytes", "value": 2**40 + 1, "warning": 0.0, "critical": 0.0, "unit": "B"},
        ],
    }


def test_prometheus() -> None:
    assert list(prometheus(CHECK)) == [
        "# HELP nats_server_check_connections_bytes Bytes",
        "# TYPE nats_server_check_connections_bytes gauge",
        'nats_server_check_connections_bytes{item="Connection"} 1099511627777',
        "# HELP nats_server_check_connections_connections Active connections",
        "# TYPE nats_server_check_connections_connections gauge",
        'nats_server_check_connections_connections{item="Connection"} 7',
        "# HELP nats_server_check_connections_rtt Round trip",
        "# TYPE nats_server_check_connections_rtt gauge",
        'nats_server_check_connections_rtt{item="Connection"} 0.0123',
        "# HELP nats_server_check_connections_status_code Nagios compatible status code for connections",
        "# TYPE nats_server_check_connections_status_code gauge",
        'nats_server_check_connections_status_code{item="Connection",status="CRITICAL"} 2',
    ]
    assert list(prometheus(CHECK, "mine"))[-1].startswith("mine_connections_status_code{")


def test_text() -> None:
    assert list(text(CHECK)) == [
        "Connection: CRITICAL",
        "",
        "STATUS    MESSAGE",
        "OK        answered",
        "Warning   slow",
        "Critical  full",
        "",
        "METRIC       VALUE          UNIT  WARNING  CRITICAL  MEANING",
        "rtt          0.0123         s     0.5000   1.0000    Round trip",
        "connections  7                             10        Active connections",
        "bytes        1099511627777  B                        Bytes",
    ]
    assert list(text(Check("k", "n", ()))) == ["n: OK"]


@given(name=st.text(), words=st.text())
def test_no_text_of_others_breaks_a_format(name: str, words: str) -> None:
    check = Check.of("k", name, (Note(Level.CRITICAL, words), Measure("m", 1, "M")))
    (line,) = nagios(check)
    assert line.isprintable()
    assert line.count("|") == 1
    *_, last = prometheus(check)
    assert re.fullmatch(r'nats_server_check_k_status_code\{item="(?:[^"\\\n]|\\\\)*",status="CRITICAL"\} 2', last)
    assert all(each.isprintable() for each in text(check))


def test_names_of_metrics_are_names() -> None:
    found = list(prometheus(Check("k", "n", (), (Measure("a-b.c peers", 1, "M"),))))
    assert found[2] == 'nats_server_check_k_a_b_c_peers{item="n"} 1'


@pytest.mark.parametrize(
    ("limits", "value", "level"),
    [
        (Limits(), 10**9, Level.OK),
        (Limits(5, 10), 4, Level.OK),
        (Limits(5, 10), 5, Level.WARNING),
        (Limits(5, 10), 10, Level.CRITICAL),
        (Limits(None, 10), 9, Level.OK),
        (Limits(5, None), 99, Level.WARNING),
        (Limits(10, 5), 11, Level.OK),
        (Limits(10, 5), 10, Level.WARNING),
        (Limits(10, 5), 5, Level.CRITICAL),
    ],
)
def test_thresholds_work_both_ways(limits: Limits, value: float, level: Level) -> None:
    assert limits.level(value) is level


@pytest.mark.parametrize(("left", "level"), [(11, Level.OK), (10, Level.WARNING), (5, Level.CRITICAL)])
def test_what_is_to_be_large(left: float, level: Level) -> None:
    assert Limits(10, 5).low(left) is level
    assert Limits().low(left) is Level.OK
