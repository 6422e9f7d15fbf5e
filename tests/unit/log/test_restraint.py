from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from choria_broker.log.restraint import Admission, Restraint


def test_a_few_of_a_kind_come_and_the_others_are_counted() -> None:
    restraint = Restraint(of_kind=2, of_all=10, period=60.0)
    assert restraint.admit("a", 0.0) == Admission(admitted=True)
    assert restraint.admit("a", 1.0) == Admission(admitted=True, last=True)
    assert [restraint.admit("a", 2.0).admitted for _ in range(5)] == [False] * 5
    assert restraint.admit("b", 3.0).admitted
    assert restraint.admit("a", 60.0) == Admission(admitted=True, held_back=5)
    assert restraint.admit("a", 61.0) == Admission(admitted=True, last=True)


def test_kinds_that_a_peer_makes_up_share_a_bound() -> None:
    restraint = Restraint(of_kind=5, of_all=20, period=60.0)
    admissions = [restraint.admit(number, 0.0) for number in range(5000)]
    assert sum(each.admitted for each in admissions) == 20
    assert admissions[19].last
    assert len(restraint._kinds) <= 256
    assert restraint.admit("new", 60.0).admitted


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 30))))
def test_no_period_has_more_than_the_bounds(steps: list[tuple[int, float]]) -> None:
    restraint, now, times = Restraint(of_kind=2, of_all=5, period=60.0), 0.0, []
    for kind, pause in steps:
        now += pause
        if restraint.admit(kind, now).admitted:
            times.append(now)
    # Windows begin with their first line, so that twice as many may come close together.
    assert all(len([each for each in times if begin <= each < begin + 60]) <= 10 for begin in times)
