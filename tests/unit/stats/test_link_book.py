"""Since when links stand or do not, and why they do not."""

from __future__ import annotations

import msgspec
import pytest

from choria_broker.stats.link_book import BEFORE, STEADY, Entry, LinkBook
from choria_broker.stats.link_troubles import LinkTrouble
from choria_broker.stats.links import Link, LinkKind

NOW = 1_800_000_000.0
UP = Link(LinkKind.MEMBER, "b2", connected=True, address="192.0.2.2:5222", places=("b2.example.net:5222",))
DOWN = Link(LinkKind.MEMBER, "b2", connected=False, places=("b2.example.net:5222",))


def trouble(place: str, cause: str = "refused", last: float = NOW, kind: str = "route") -> LinkTrouble:
    return LinkTrouble(kind, place, cause, f"words of {cause}", last=last)


def told(book: LinkBook, *links: Link) -> list[tuple[float, str]]:
    return [(link.since, link.cause) for link in book.with_history(links)]


def test_the_moment_of_each_change_is_kept() -> None:
    book = LinkBook()
    assert told(book, UP) == [(0.0, "")]
    book.seen([UP], (), NOW)
    book.seen([UP], (), NOW + 10)
    assert told(book, UP) == [(NOW, "")]
    assert told(book, DOWN) == [(0.0, "")], "not looked at yet"
    book.seen([DOWN], (), NOW + 20)
    book.seen([DOWN], (), NOW + 30)
    assert told(book, DOWN) == [(NOW + 20, "")]


def test_a_member_keeps_its_history_when_its_name_becomes_known() -> None:
    book = LinkBook()
    book.seen([Link(LinkKind.MEMBER, "b:1", connected=False, places=("b:1",))], (), NOW)
    known = Link(LinkKind.MEMBER, "b2", connected=False, places=("b:1",))
    book.seen([known], (), NOW + 10)
    assert told(book, known) == [(NOW, "")]


def test_what_is_not_known_is_not_remembered() -> None:
    book = LinkBook()
    doubtful = Link(LinkKind.MEMBER, "b:1", places=("b:1",))
    book.seen([doubtful], (), NOW)
    assert (book.entries, told(book, doubtful)) == ((), [(0.0, "")])


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (trouble("b2"), "refused"),
        (trouble("B2.example.net:5222"), "refused"),
        (trouble("192.0.2.2"), "refused"),
        (trouble("192.0.2.2:5222"), "refused"),
        (trouble("192.0.2.2:9"), ""),
        (trouble("192.0.2.9"), ""),
        (trouble("192.0.2.9:5222"), "refused"),
        (trouble("b2", kind="gateway"), ""),
        (trouble("b2", last=NOW - BEFORE - 1), ""),
        (trouble("b2", last=NOW - BEFORE + 1), "refused"),
    ],
)
def test_whose_trouble_it_is(found: LinkTrouble, cause: str) -> None:
    book = LinkBook()
    book.seen([UP], (), NOW - 100)
    book.seen([DOWN], (found,), NOW)
    assert told(book, DOWN) == [(NOW, cause)]


def test_what_was_told_before_it_stood_has_nothing_to_do_with_its_end() -> None:
    book = LinkBook()
    book.seen([UP], (), NOW - 10)
    book.seen([DOWN], (trouble("b2", "stale", NOW - 1), trouble("b2", "refused", NOW - 11)), NOW)
    assert told(book, DOWN) == [(NOW, "stale")]
    book.seen([DOWN], (trouble("b2", "refused", NOW - 11),), NOW)
    assert told(book, DOWN) == [(NOW, "stale")]


def test_a_member_that_is_away_is_called_by_the_name_it_had() -> None:
    book, away = LinkBook(), Link(LinkKind.MEMBER, DOWN.places[0], connected=False, places=DOWN.places)
    book.seen([UP], (), NOW - 10)
    book.seen([away], (trouble("b2", "stale"),), NOW)
    (found,) = book.with_history([away])
    assert (found.name, found.cause, found.places) == ("b2", "stale", DOWN.places)


def test_addresses_that_were_looked_up_count() -> None:
    book = LinkBook()
    book.seen([DOWN], (trouble("192.0.2.7", "login"),), NOW, {"b2.example.net:5222": ("192.0.2.7",)})
    assert told(book, DOWN) == [(NOW, "login")]


def test_a_port_alone_tells_nothing_where_two_have_it() -> None:
    other = Link(LinkKind.MEMBER, "b3", connected=False, places=("b3.example.net:5222",))
    book = LinkBook()
    book.seen([DOWN, other], (trouble("192.0.2.9:5222"),), NOW)
    assert told(book, DOWN, other) == [(NOW, ""), (NOW, "")]


def test_gateways_and_leafnodes_go_by_their_names_too() -> None:
    gateway = Link(LinkKind.GATEWAY, "TOKYO", connected=False, places=("t:7222",))
    leafnode = Link(LinkKind.LEAFNODE, "HQ", connected=False, places=("hq:7422",))
    book = LinkBook()
    book.seen([gateway, leafnode], (trouble("TOKYO", kind="gateway"), trouble("hq:7422", kind="leafnode")), NOW)
    assert told(book, gateway, leafnode) == [(NOW, "refused"), (NOW, "refused")]


def test_what_keeps_a_link_away_says_more_than_what_ended_it() -> None:
    book = LinkBook()
    book.seen([UP], (), NOW - 10)
    book.seen([DOWN], (trouble("b2", "stale"),), NOW)
    book.seen([DOWN], (trouble("b2", "timeout", NOW + 1), trouble("b2", "stale")), NOW + 1)
    assert told(book, DOWN) == [(NOW, "timeout")]


def test_who_is_refused_has_reached_the_other_side() -> None:
    book = LinkBook()
    book.seen([DOWN], (trouble("b2", "refused"),), NOW)
    book.seen([DOWN], (trouble("b2", "refused", NOW + 2), trouble("b2", "login", NOW + 1)), NOW + 2)
    assert told(book, DOWN) == [(NOW, "login")]
    book.seen([DOWN], (trouble("b2", "refused", NOW + 70), trouble("b2", "login", NOW + 1)), NOW + 70)
    assert told(book, DOWN) == [(NOW, "refused")]


def test_two_causes_by_turns_are_told_as_one() -> None:
    book, causes = LinkBook(), []
    last = {"refused": NOW, "timeout": NOW - 100}
    for second in range(0, 200, 10):
        if second < 100:
            last["timeout" if second % 20 else "refused"] = NOW + second
        else:
            last["timeout"] = NOW + second
        latest = sorted((trouble("b2", cause, at) for cause, at in last.items()), key=lambda each: -each.last)
        book.seen([DOWN], latest, NOW + second)
        causes.append(told(book, DOWN)[0][1])
    assert causes == ["refused"] * (8 + int(STEADY / 10) + 1) + ["timeout"] * (20 - 8 - int(STEADY / 10) - 1)


def test_a_cause_ends_with_its_link_and_the_next_one_has_its_own() -> None:
    book = LinkBook()
    book.seen([DOWN], (trouble("b2"),), NOW)
    book.seen([UP], (trouble("b2"),), NOW + 50)
    book.seen([DOWN], (trouble("b2"),), NOW + 100)
    assert told(book, DOWN) == [(NOW + 100, "")]


def test_it_can_be_handed_over() -> None:
    book = LinkBook()
    book.seen([DOWN], (trouble("b2"),), NOW)
    kept = msgspec.json.decode(msgspec.json.encode(book.entries), type=tuple[Entry, ...])
    assert kept == book.entries
