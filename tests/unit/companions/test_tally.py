"""What companion processes count, over their ends."""

from __future__ import annotations

from choria_broker.companions.tally import Tally, Totals


def test_what_is_counted_is_told() -> None:
    tally = Tally()
    tally.count("a", ("x",)).add()
    tally.count("a", ("x",)).add(2)
    tally.count("a", ("y",))
    tally.timed("t", ()).add(0.5, 3)
    assert tally.told() == {"a": [(("x",), 3), (("y",), 0)], "t_sum": [((), 0.5)], "t_count": [((), 3)]}


def test_totals_outlive_processes_and_gauges_do_not() -> None:
    totals = Totals()
    totals.tell(0, {"a": [(("x",), 5.0)], "length": [((), 7.0)]})
    totals.tell(1, {"a": [(("x",), 1.0), (("y",), 2.0)]})
    assert totals.counts() == {"a": {("x",): 6, ("y",): 2}, "length": {(): 7}}
    totals.over(0, ["length"])
    totals.over(0, ["length"])
    assert totals.counts() == {"a": {("x",): 6, ("y",): 2}, "length": {(): 0}}
    totals.tell(0, {"a": [(("x",), 1.0)]})
    assert totals.counts()["a"] == {("x",): 7, ("y",): 2}
