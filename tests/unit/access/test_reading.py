"""A question that notes what is read of it."""

from __future__ import annotations

import dataclasses

import pytest

from choria_broker.access.reading import Watched, unwatched
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
    assert watched.read == {name}


def test_what_is_worked_out_is_noted_as_what_it_is_made_of() -> None:
    watched = Watched(replace(ANON, token="x"))
    assert watched.has_token
    assert watched.read == {"token_unread", "token"}
    unread = Watched(replace(ANON, token_unread=True))
    assert unread.has_token
    assert unread.read == {"token_unread"}


def test_it_is_shown_without_secrets() -> None:
    assert "hunter2" not in repr(Watched(replace(ANON, password="hunter2")))


def test_there_is_nothing_else_to_read() -> None:
    watched = Watched(ANON)
    with pytest.raises(AttributeError):
        watched.something  # noqa: B018
    assert isinstance(watched, ConnectRequest)
