"""A question that notes what is read of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from choria_broker.access.reach import OF_CLASS
from choria_broker.access.reading import NEVER_MATTERS, Watched, unwatched
from choria_broker.access.request import ConnectRequest
from choria_broker.values import replace
from support.policy_cases import ANON


def test_nothing_is_read_at_first() -> None:
    watched = Watched(ANON)
    assert watched.read == frozenset()
    assert unwatched(watched) is ANON
    assert unwatched(ANON) is ANON
    assert watched.read == frozenset()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ConnectRequest)])
def test_each_field_is_noted(name: str) -> None:
    watched = Watched(ANON)
    assert getattr(watched, name) == getattr(ANON, name)
    assert getattr(watched, name) == getattr(ANON, name)
    assert watched.read == {name} - set(NEVER_MATTERS)


def test_what_is_not_noted_is_the_same_for_every_connection_that_a_verdict_may_reach() -> None:
    assert OF_CLASS.issuperset(NEVER_MATTERS)


@pytest.mark.parametrize("sent", [{"token": "x"}, {"token_unread": True}, {}])
def test_what_is_worked_out_comes_of_what_is_there(sent: dict[str, Any]) -> None:
    asked = replace(ANON, **sent)
    assert Watched(asked).has_token is asked.has_token is bool(sent)


def test_it_is_shown_without_secrets() -> None:
    assert "hunter2" not in repr(Watched(replace(ANON, password="hunter2")))


def test_there_is_nothing_else_to_read() -> None:
    watched = Watched(ANON)
    with pytest.raises(AttributeError):
        watched.something  # noqa: B018
    assert isinstance(watched, ConnectRequest)
