from __future__ import annotations

import logging
from pathlib import Path

import pytest

from choria_broker.settings.streams import Streams
from choria_broker.stats.measured import Measured
from choria_broker.streams.ledger import Ledger
from choria_broker.streams.report import Report, State
from choria_broker.streams.standard import plan
from choria_broker.streams.trouble import TroubleKind
from support.metrics import value
from support.standard_streams import NAMES, standard

FULL_DISK = "JetStream stream 'choria > CHORIA_EVENTS' critical write error: write /s/1.blk: no space left on device"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Books:
    """A ledger with the streams of one account, its clock and its metrics."""

    def __init__(self, *, manage: bool = True) -> None:
        self.clock = Clock()
        self.ledger = Ledger(self.clock)
        streams = Streams(store=Path("/s"), manage=manage, standard=standard(executor=(0.0, -1)))
        self.ledger.open("choria", plan(streams, 3))

    def value(self, metric: str, stream: str = "CHORIA_EVENTS", **labels: str) -> float | None:
        measured = Measured(identity="broker1", streams=self.ledger.counts)
        return value(measured, f"choria_broker_stream_{metric}", **{"account": "choria", "stream": stream} | labels)

    def report(self, stream: str = "CHORIA_EVENTS") -> Report:
        return next(report for report in self.ledger.reports if report.stream == stream)


def test_streams_begin_pending_or_left_alone() -> None:
    books = Books()
    assert [(report.stream, report.state, report.replicas) for report in books.ledger.reports] == [
        *((name, State.PENDING, 3) for name in NAMES if name != "CHORIA_EXECUTOR"),
        ("CHORIA_EXECUTOR", State.NOT_MANAGED, 0),
    ]
    assert {report.state for report in Books(manage=False).ledger.reports} == {State.NOT_MANAGED}


def test_the_state_is_one_of_a_set_of_series() -> None:
    books = Books()
    books.ledger.enter(Report("choria", "CHORIA_EVENTS", State.OK, "created"))
    assert {state: books.value("state", state=state) for state in State} == {
        State.PENDING: 0,
        State.OK: 1,
        State.RETRYING: 0,
        State.FAILED: 0,
        State.NOT_MANAGED: 0,
    }


def test_failures_are_counted_and_dated() -> None:
    books = Books()
    assert books.value("failures_total") is None
    assert books.value("last_failure_seconds") is None
    books.ledger.enter(Report("choria", "CHORIA_EVENTS", State.RETRYING, reason="r"))
    books.clock.now = 1234.5
    books.ledger.enter(Report("choria", "CHORIA_EVENTS", State.FAILED, reason="r"))
    books.ledger.enter(Report("choria", "CHORIA_EVENTS", State.OK, "created"))
    assert books.value("failures_total") == 2
    assert books.value("last_failure_seconds") == 1234.5


def test_lines_of_the_engine_that_mean_nothing_are_not_kept() -> None:
    books = Books()
    books.ledger.hear("Server is ready")
    assert books.ledger.troubles == ()


def test_a_stream_that_cannot_be_written_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    books = Books()
    books.ledger.enter(Report("choria", "CHORIA_EVENTS", State.OK, "created", replicas=3))
    books.ledger.hear(FULL_DISK)
    report = books.report()
    assert (report.state, report.outcome, report.replicas) == (State.FAILED, "", 3)
    assert "no space left on device" in report.reason
    assert books.report("CHORIA_MACHINE").state is State.PENDING
    assert books.value("troubles_total", trouble="write-failed") == 1
    assert books.value("failures_total") == 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "accepts no more messages" in record.getMessage()
    assert "free space on the file system" in record.__dict__["remedy"]
    assert (record.__dict__["account"], record.__dict__["stream"]) == ("choria", "CHORIA_EVENTS")


def test_when_the_engine_turns_streams_off_all_that_are_managed_have_failed() -> None:
    books = Books()
    books.ledger.hear("JetStream out of resources, will be DISABLED")
    states = {report.stream: report.state for report in books.ledger.reports}
    assert states.pop("CHORIA_EXECUTOR") is State.NOT_MANAGED
    assert set(states.values()) == {State.FAILED}
    assert books.ledger.off == books.ledger.troubles[-1].trouble.words
    assert Books().ledger.off == ""


def test_streams_of_others_are_noted_and_have_no_report() -> None:
    books = Books()
    books.ledger.hear(FULL_DISK.replace("CHORIA_EVENTS", "ORDERS"))
    (noted,) = books.ledger.troubles
    assert (noted.trouble.stream, noted.times, noted.last) == ("ORDERS", 1, 1000.0)
    assert len(books.ledger.reports) == len(NAMES)


def test_the_same_trouble_is_logged_once_a_minute_and_always_counted(caplog: pytest.LogCaptureFixture) -> None:
    books = Books()
    for moment in (1000.0, 1010.0, 1059.9, 1060.0, 1061.0):
        books.clock.now = moment
        books.ledger.hear("JetStream file resource limits exceeded for server")
    assert len(caplog.records) == 2
    (noted,) = books.ledger.troubles
    assert (noted.trouble.kind, noted.times, noted.last) == (TroubleKind.FULL, 5, 1061.0)
    assert books.value("troubles_total", stream="", account="", trouble="full") == 5


def test_names_without_end_do_not_fill_the_memory() -> None:
    books = Books()
    for number in range(1000):
        books.ledger.hear(FULL_DISK.replace("CHORIA_EVENTS", f"S{number}"))
    assert len(books.ledger.troubles) == 256
    assert books.ledger.troubles[-1].trouble.stream == "S999"
    assert books.value("troubles_total", stream="S255", trouble="write-failed") == 1
    assert books.value("troubles_total", stream="S256", trouble="write-failed") is None
    assert books.value("troubles_total", stream="", account="", trouble="write-failed") == 744


def test_losses_are_told_apart_by_their_files_and_count_for_health() -> None:
    books = Books()
    for block in ("1.blk", "2.blk", "1.blk"):
        books.ledger.hear(
            f'Lost part of stream \'choria > X\' in "/s/{block}", 1 messages, 9 bytes, kept in "": it is missing'
        )
    books.ledger.hear("Cut half-written record of stream 'choria > X' in \"/s/3.blk\", 9 bytes")
    books.ledger.hear(FULL_DISK)
    assert [(each.trouble.file, each.times) for each in books.ledger.troubles][:2] == [("/s/2.blk", 1), ("/s/1.blk", 2)]
    assert len(books.ledger.losses) == 2
    assert books.value("troubles_total", stream="X", trouble="damaged") == 3
