"""What counts as a change of health, and what is kept of it."""

from __future__ import annotations

import pytest

from choria_broker.status.changes import MOST, HealthBook
from choria_broker.status.health import Condition, Health

LOST = "the other member of the cluster is not connected"
FULL = "the disk of /store has 12 MiB left"
OK = Health(Condition.OK)


def degraded(*reasons: str) -> Health:
    return Health(Condition.DEGRADED, reasons)


def test_that_all_is_well_at_first_is_no_change() -> None:
    book = HealthBook()

    assert book.told(OK, 1.0) is None
    assert book.since == 1.0
    assert not any(book.counts.values())


def test_what_is_wrong_at_first_is_one() -> None:
    change = HealthBook().told(degraded(LOST), 1.0)

    assert change is not None
    assert (change.old, change.new, change.lasted) == ("starting", "degraded", 0.0)
    assert change.sentence == f"Health is degraded: {LOST}"


def test_it_gets_worse_and_well_again() -> None:
    book = HealthBook()
    book.told(OK, 1.0)
    worse = book.told(degraded(LOST, FULL), 11.0)
    same = book.told(degraded(LOST, FULL), 21.0)
    well = book.told(OK, 31.0)

    assert worse is not None
    assert same is None
    assert well is not None
    assert (worse.old, worse.new, worse.added, worse.lasted) == ("ok", "degraded", (LOST, FULL), 10.0)
    assert (well.old, well.new, well.gone, well.lasted) == ("degraded", "ok", (LOST, FULL), 20.0)
    assert well.sentence == "Health is ok"
    assert book.changes == (well, worse)
    assert (book.counts["ok"], book.counts["degraded"], book.since) == (1, 1, 31.0)


def test_a_reason_more_or_less_is_a_change() -> None:
    book = HealthBook()
    book.told(degraded(LOST), 1.0)
    more = book.told(degraded(LOST, FULL), 2.0)
    less = book.told(degraded(FULL), 3.0)

    assert more is not None
    assert less is not None
    assert (more.old, more.new, more.added, more.gone) == ("degraded", "degraded", (FULL,), ())
    assert more.sentence == f"Health is still degraded: {FULL}"
    assert (less.added, less.gone) == ((), (LOST,))
    assert less.sentence == f"Health is still degraded: no longer: {LOST}"
    assert (book.counts["degraded"], book.since) == (1, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("12 MiB left", "7.5 MiB left", False),
        ("broker1 is gone", "broker2 is gone", True),
        ("10.0.0.1:5222 is gone", "10.0.0.2:5222 is gone", True),
        ("host:5222 is gone", "host:5223 is gone", True),
        ("/var/1/a is gone", "/var/2/a is gone", True),
        ("expires in 13 days", "expires in 12 days", False),
    ],
)
def test_numbers_alone_are_no_change(before: str, after: str, *, changed: bool) -> None:
    book = HealthBook()
    book.told(degraded(before), 1.0)
    assert (book.told(degraded(after), 2.0) is not None) is changed
    gone = book.told(OK, 3.0)
    assert gone is not None
    assert gone.gone == (after,)


def test_two_reasons_of_one_form_are_counted() -> None:
    book = HealthBook()
    book.told(degraded("12 of a", "13 of a"), 1.0)
    change = book.told(degraded("12 of a"), 2.0)
    assert change is not None
    assert not change.added


def test_how_far_a_drain_is_is_no_change() -> None:
    book = HealthBook()
    book.told(OK, 1.0)
    begun = book.told(Health(Condition.DRAINING, ("a is left",), "a is left"), 2.0)
    assert begun is not None
    assert (begun.new, begun.reasons) == ("draining", ())
    assert book.told(Health(Condition.DRAINING, ("nothing is left",), "nothing is left"), 3.0) is None


def test_the_latest_are_kept() -> None:
    book = HealthBook()
    for number in range(MOST + 9):
        book.told(degraded(f"name{number}"), float(number))

    assert len(book.changes) == MOST
    assert book.changes[0].time == MOST + 8.0


def test_the_next_program_goes_on() -> None:
    first, second = HealthBook(), HealthBook()
    first.told(OK, 1.0)
    first.told(degraded(LOST), 2.0)
    second.go_on(first.left())

    assert second.told(degraded(LOST), 3.0) is None
    assert (second.changes, second.since, second.counts) == (first.changes, 2.0, first.counts)
