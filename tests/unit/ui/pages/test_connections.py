"""The list of connections: chosen, sorted and cut into pages."""

from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.sessions.words import SORTS
from choria_broker.ui.page import Asked, BadInputError, Look
from choria_broker.ui.pages.connections import SIZES, Connections, document, view
from support.dashboard import HOSTILE, NOW, asked, session

MANY = Look(NOW, tuple(session(number, messages=number) for number in range(1, 251)))


def shown(**values: str) -> Connections:
    return view(MANY, asked(**values))


def numbers(found: Connections) -> list[int]:
    return [each.session.connection for each in found.rows]


def test_the_first_page_has_the_first_hundred() -> None:
    found = shown()
    assert numbers(found) == list(range(1, 101))
    assert (found.first, found.last, found.matching, found.everybody, found.pages) == (1, 100, 250, 250, 3)
    assert (found.previous, found.following) == ("", "page=2")


def test_the_last_page_has_the_rest() -> None:
    found = shown(page="3", sort="-cid")
    assert numbers(found) == list(range(50, 0, -1))
    assert (found.previous, found.following) == ("sort=-cid&page=2", "")


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"identity": "web1?.example.net"}, 10),
        ({"text": "WEB200"}, 1),
        ({"address": "192.0.2.0/29"}, 8),
        ({"kind": "leafnode"}, 0),
        ({"account": "choria", "method": "token"}, 250),
        ({"text": HOSTILE}, 0),
    ],
)
def test_filters_choose(values: dict[str, str], count: int) -> None:
    found = shown(**values)
    assert found.matching == count
    assert (found.first, found.pages) == ((1, found.pages) if count else (0, 1))
    assert dict(urllib.parse.parse_qsl(found.query)) == values


def test_the_command_shows_the_same() -> None:
    found = shown(identity="web*", sort="-rate", size="50")
    assert found.command == ("connections", "--identity", "web*", "--sort", "rate")


@pytest.mark.parametrize(
    ("values", "says", "status"),
    [
        ({"page": "4"}, "only 3 pages", 404),
        ({"page": "2", "text": "web200"}, "only one page", 404),
        ({"page": "x"}, "whole number", 400),
        ({"sort": "colour"}, "sorted by colour", 400),
        ({"sort": "--cid"}, "sorted by -cid", 400),
        ({"size": "7"}, "7 rows", 400),
        ({"address": "somewhere"}, "An address is", 400),
        ({"certificate": "xyz"}, "A certificate is known by", 400),
        ({"issuer": "CN=x"}, "An issuer goes with", 400),
        ({"text": "x" * 513}, "too long", 400),
    ],
)
def test_what_makes_no_sense_is_told_with_what_to_do(values: dict[str, str], says: str, status: int) -> None:
    with pytest.raises(BadInputError, match=says) as told:
        shown(**values)
    assert told.value.status == status
    assert told.value.remedy.endswith(".")


@given(st.sampled_from(tuple(SORTS)), st.booleans(), st.sampled_from(SIZES))
def test_pages_together_have_everybody_once(sort: str, backwards: bool, size: int) -> None:
    first = shown(sort="-" * backwards + sort, size=str(size))
    all_pages = [shown(sort=first.sort, size=str(size), page=str(page)) for page in range(1, first.pages + 1)]
    together = [number for page in all_pages for number in numbers(page)]
    assert sorted(together) == list(range(1, 251))
    assert [each.last - each.first + 1 for each in all_pages] == [len(each.rows) for each in all_pages]


def test_a_heading_sorts_and_then_the_other_way_round() -> None:
    columns = {each.title: each for each in shown(sort="rate", text="web").columns}
    assert columns["Out /s"].direction == "descending"
    assert columns["Out /s"].link == "text=web&sort=-rate"
    assert columns["Name"].link == "text=web&sort=name"
    assert (columns["Kind"].link, columns["Kind"].direction) == ("", "")
    assert {each.title: each for each in shown(sort="-name").columns}["Name"].direction == "descending"


def test_rates_are_those_between_two_looks() -> None:
    before = {1: session(1, messages=10)}
    found = view(Look(NOW, (session(1, messages=30), session(2, messages=50)), before, 10.0), Asked(NOW))
    assert [each.rates.in_msgs for each in found.rows] == [2.0, 0.5]
    assert found.over == 10.0


def test_shares_lead_to_those_who_have_something_in_common() -> None:
    look = Look(NOW, (session(1), session(2, kind="leafnode"), session(3, account="system")))
    found = view(look, asked(text="web"))
    assert [(each.name, each.count, each.link) for each in found.kinds] == [
        ("client", 2, "text=web&kind=client"),
        ("leafnode", 1, "text=web&kind=leafnode"),
    ]
    assert [(each.name, each.count) for each in found.accounts] == [("choria", 2), ("system", 1)]
    assert found.choices["account"] == ("choria", "system")


def test_programs_are_told_what_the_command_tells() -> None:
    told = document(shown(size="50"))
    assert isinstance(told, dict)
    assert (told["total"], told["page"], told["pages"], len(told["connections"])) == (250, 1, 5, 50)
    assert told["connections"][0]["holder"]["identity"] == "web1.example.net"


def test_the_busiest_come_first_by_what_went_over_them_lately() -> None:
    before = {number: session(number, messages=100) for number in (1, 2)}
    now = (session(1, messages=110), session(2, messages=300), session(3, messages=4000), session(4, traffic=None))
    found = view(Look(NOW, now, before, 10.0), asked(sort="rate"))
    assert numbers(found) == [3, 2, 1, 4]
    assert [each.rates.messages for each in found.rows] == [80.0, 40.0, 2.0, 0.0]
    assert numbers(view(Look(NOW, (session(1, since=NOW), session(2, messages=1))), asked(sort="rate"))) == [2, 1]
