"""What companion processes count, over their ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from choria_broker.companions.tally import Tally, Totals, parts


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


def test_what_is_too_long_is_told_in_parts() -> None:
    told = {"a": [(("x" * 60,), 1.0), (("y" * 60,), 2.0)], "b": [(("z",), 3.0)]}
    made = list(parts(told, 100))
    assert [list(part) for part in made] == [["a"], ["a"], ["b"]]
    assert list(parts({}, 100)) == [{}]
    totals = Totals()
    for part in made:
        totals.tell(0, part)
    assert totals.told() == told


@given(st.dictionaries(st.sampled_from("ab"), st.lists(st.tuples(st.tuples(st.text(max_size=9)), st.floats(0, 9)))))
def test_parts_are_the_whole(told: dict[str, list[tuple[tuple[str], float]]]) -> None:
    whole, partly = Totals(), Totals()
    whole.tell(0, told)
    made = list(parts(told, 100))
    assert made
    for part in made:
        assert sum(len(counts) for counts in part.values()) <= 3
        partly.tell(0, part)
    whole.over(0)
    partly.over(0)
    assert partly.counts() == {family: counts for family, counts in whole.counts().items() if counts}
