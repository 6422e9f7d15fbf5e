"""Who is in the demonstration."""

from __future__ import annotations

from choria_broker.access.subjects import is_literal
from choria_broker.demo.people import BROKER, CALLERS, REFUSED, SERVERS, SLOW, caller_id


def test_the_names_are_apart_and_can_stand_in_subjects() -> None:
    names = (BROKER, *SERVERS, *CALLERS, REFUSED, SLOW)
    assert len(set(names)) == len(names)
    assert len(SERVERS) == 20
    assert all(is_literal(each) for each in names)


def test_a_caller_has_an_id() -> None:
    assert caller_id("alice") == "up=alice"
