"""What is said of a drain."""

from __future__ import annotations

import pytest

from choria_broker.status.drains import DRAINED, DRAINING, DrainReport, counted


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (DrainReport(), "the broker is not draining"),
        (
            DrainReport(DRAINING, connections=500, left=120),
            "120 of 500 connections are left, and new ones are refused",
        ),
        (DrainReport(DRAINED, connections=1), "no connection is left, and new ones are refused"),
        (
            DrainReport(DRAINING, connections=2, left=2, leaders=1),
            "2 of 2 connections are left, and it leads 1 group of streams, and new ones are refused",
        ),
        (
            DrainReport(DRAINED, leaders=3),
            "no connection is left, and it leads 3 groups of streams, and new ones are refused",
        ),
    ],
)
def test_how_far_it_is(report: DrainReport, sentence: str) -> None:
    assert report.sentence == sentence


def test_what_was_moved_and_over_what_time() -> None:
    assert DrainReport(DRAINED, ended=1).moved == "1 connection"
    assert DrainReport(DRAINED, ended=7, handed_over=2).moved == "7 connections and the lead of 2 groups of streams"
    assert DrainReport(DRAINING, over=90.0).plan == "over 1m30s"
    assert DrainReport(DRAINING).plan == "at once"
    assert counted(0, "connection") == "0 connections"
