"""The book of events: what is remembered, told and lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.audit.acts import ActBook
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.audit.events import PAGE, EventBook, EventKind, EventPage, Wanted, in_words
from choria_broker.host.succession import Succession
from support.sessions import departed

DECISION = Decision(
    time=50.0,
    connection_id=3,
    address="192.0.2.9",
    kind="client",
    tls="mtls",
    common_name="web1",
    serial="",
    fingerprint="",
    allowed=False,
    method="",
    rule="token-expired",
    reason="It expired.",
    remedy="Renew it.",
    account="",
    username="",
    permissions=None,
    trail=(),
    seconds=0.0,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def told(page: EventPage) -> list[tuple[str, str]]:
    return [(each.kind.value, each.identity) for each in page.events]


def read_on(book: EventBook, page: EventPage, **wanted: object) -> EventPage:
    return book.page(msgspec.convert({"after": page.after, **wanted}, Wanted), "b1")


def test_events_are_told_in_their_order_and_once() -> None:
    book = EventBook(Clock())
    book.tell(EventKind.LINK, "up", "b2")
    begun = book.page(Wanted(), "b1")
    assert (begun.events, begun.broker) == ((), "b1")  # What was before nobody asked for.
    book.tell(EventKind.ACT, "reload", "root")
    book.tell(EventKind.LINK, "down", "b2")
    page = read_on(book, begun)
    assert told(page) == [("act", "root"), ("link", "b2")]
    assert read_on(book, page).events == ()


def test_what_is_remembered_is_told_since_a_time() -> None:
    book = EventBook(Clock())
    for number in range(5):
        book.tell(EventKind.HEALTH, "ok", str(number))
    assert [who for _, who in told(book.page(Wanted(since=104.0), "b1"))] == ["3", "4"]
    assert len(book.page(Wanted(since=0.0), "b1").events) == 5


def test_only_what_is_wanted_is_told() -> None:
    book = EventBook(Clock())
    begun = book.page(Wanted(), "b1")
    book.tell(EventKind.DECISION, "accepted", "Web1.example.net", address="192.0.2.1")
    book.tell(EventKind.DECISION, "refused", "", address="192.0.2.7")
    book.tell(EventKind.DENIED, "publish", "web1.example.net")
    assert told(read_on(book, begun, identity="web?.*")) == [
        ("decision", "Web1.example.net"),
        ("denied", "web1.example.net"),
    ]
    assert told(read_on(book, begun, identity="192.0.2.7")) == [("decision", "")]
    assert told(read_on(book, begun, kinds=["denied"])) == [("denied", "web1.example.net")]


@given(st.lists(st.sampled_from([EventKind.DECISION, EventKind.ACT]), max_size=60), st.integers(1, 400))
def test_nothing_is_lost_without_being_counted(kinds: list[EventKind], each_time: int) -> None:
    book = EventBook(Clock())
    page = book.page(Wanted(), "b1")
    seen: dict[str, int] = {}
    for kind in kinds:
        for _ in range(each_time):
            book.tell(kind, "x")
    happened = {kind.value: kinds.count(kind) * each_time for kind in set(kinds)}
    more = True
    while more:
        page = read_on(book, page)
        assert len(page.events) <= PAGE
        for name, count in page.lost.items():
            seen[name] = seen.get(name, 0) + count
        for event in page.events:
            seen[event.kind.value] = seen.get(event.kind.value, 0) + 1
        more = page.more
    assert seen == happened


def test_who_has_read_from_another_start_begins_anew() -> None:
    book = EventBook(Clock())
    book.tell(EventKind.ACT, "reload", "root")
    page = book.page(Wanted(after={"act": 7, "link": 2}), "b1")
    assert (told(page), page.lost) == ([("act", "root")], {})


def test_an_upgrade_loses_nothing() -> None:
    book, before, next_one = EventBook(Clock()), Succession(), EventBook(Clock())
    begun = book.page(Wanted(), "b1")
    for number in range(3):
        book.tell(EventKind.ACT, "kick", str(number))
    book.remember(before)
    next_one.recall(Succession.unpacked(before.packed(), descriptors=False))
    next_one.tell(EventKind.ACT, "upgrade", "root")
    assert [who for _, who in told(read_on(next_one, begun))] == ["0", "1", "2", "root"]
    next_one.recall(Succession())


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {
                "kind": EventKind.DECISION,
                "what": "refused",
                "address": "192.0.2.1",
                "connection": 7,
                "text": "why",
                "facts": {"rule": "r"},
            },
            "t decision refused from 192.0.2.1, cid 7, r: why",
        ),
        ({"kind": EventKind.ACT, "what": "reload", "identity": "root\n\x1b[31m"}, "t act reload root\\n\\x1b[31m"),
        ({"kind": EventKind.HEALTH, "what": "ok"}, "t health ok"),
    ],
)
def test_an_event_is_one_line_for_people(fields: dict[str, Any], line: str) -> None:
    book = EventBook(Clock())
    book.tell(**fields)
    (event,) = book.page(Wanted(since=0.0), "b1").events
    assert in_words(event, lambda _: "t") == line


def test_long_texts_are_cut() -> None:
    book = EventBook(Clock())
    book.tell(EventKind.DENIED, "publish", "x" * 10_000, text="y" * 10_000, facts={"subject": "z" * 10_000})
    (event,) = book.page(Wanted(since=0.0), "b1").events
    assert all(len(each) < 300 for each in (event.identity, event.text, event.facts["subject"]))


def test_acts_are_events() -> None:
    book, acts = EventBook(Clock()), ActBook(lambda: 5.0)
    acts.heard = book.acted
    acts.record("kick", "root (uid 0)", "ended 1 of 1 sessions", time=3.0, selection="up=bob", address="net")
    (event,) = book.page(Wanted(since=0.0), "b1").events
    assert (event.what, event.identity, event.text) == ("kick", "root (uid 0)", "ended 1 of 1 sessions")


def test_what_happens_to_connections_is_an_event() -> None:
    book = EventBook(Clock())
    accepted = msgspec.structs.replace(
        DECISION, allowed=True, username="up=bob", rule="client-token", account="choria", reason="", remedy=""
    )
    book.decided(accepted)
    book.decided(DECISION)
    book.departed(departed(7, since=1.0, until=4.6), "web1")
    book.denied(Noted("slow", "web1", "a.b", "9 bytes waited", 7, 3, 9.0))
    found = book.page(Wanted(since=0.0), "b1").events
    told = {(each.kind.value, each.what): (each.identity, each.text, each.facts) for each in found}
    assert told["decision", "accepted"][:2] == ("up=bob", "")
    assert told["decision", "accepted"][2]["account"] == "choria"
    who, text, facts = told["decision", "refused"]
    assert (who, text, facts["rule"]) == ("web1", "It expired. Renew it.", "token-expired")
    assert told["session", "ended"] == ("web1", "Client Closed", {"account": "choria", "seconds": "4"})
    assert told["denied", "slow"][1:] == (
        "slow consumer, 9 bytes waited, most of them for a.b",
        {"subject": "a.b", "times": "3"},
    )


def test_what_does_not_fit_comes_next() -> None:
    book = EventBook(Clock())
    begun = book.page(Wanted(), "b1")
    for number in range(3):
        book.tell(EventKind.LINK, "up", str(number))
    page = book.page(Wanted(after=begun.after), "b1", most=2)
    assert ([who for _, who in told(page)], page.more) == (["0", "1"], True)
    assert [who for _, who in told(read_on(book, page))] == ["2"]
