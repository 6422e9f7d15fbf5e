from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.request import Certificate, Intermediate
from choria_broker.access.selection import SELECTORS, Selection, SelectionError, mentions, selector, serial_number
from choria_broker.access.session import Holder, Session
from support.sessions import session

CERTIFICATE = Certificate(
    "web1.example.net", "4f3a09", "CN=ca", "f" * 64, 0, (Intermediate("1b", "CN=root", "e" * 64),)
)
HOLDER = Holder(
    identity="web1.example.net",
    caller="up=bob",
    method="token",
    token_id="the-token",
    key="ca" * 32,
    chain=(("bb" * 32, "the-issuer"),),
    certificate=CERTIFICATE,
)
SESSION = session(7, username="up=bob", holder=HOLDER)
NOBODY = session(8, kind="leafnode", address="", account="other", tls="none")


@pytest.mark.parametrize(
    "wanted",
    [
        {"identity": "web1.example.net"},
        {"identity": "WEB?.*"},
        {"caller": "up=bob"},
        {"token": "the-token"},
        {"token": "the-issuer"},
        {"key": "CA" * 32},
        {"key": "bb" * 32},
        {"certificate": "4F3A09"},
        {"certificate": "00:4f:3a:09", "issuer": "CN=ca"},
        {"certificate": "0x1b", "issuer": "CN=root"},
        {"connections": (1, 7)},
        {"address": "192.0.2.1"},
        {"address": "192.0.2.77/24"},
        {"account": "choria"},
        {"kind": "client"},
        {"method": "token"},
    ],
    ids=str,
)
def test_a_selector_finds_its_sessions_and_no_others(wanted: dict[str, Any]) -> None:
    meant = selector(Selection(**wanted))
    assert meant(SESSION)
    assert not meant(NOBODY)


@pytest.mark.parametrize(
    "wanted",
    [
        {"identity": "web1"},
        {"identity": "web1.example.ne"},
        {"caller": "up=bo"},
        {"token": "the"},
        {"key": "ca"},
        {"certificate": "4f3a"},
        {"certificate": "4f3a09", "issuer": "CN=root"},
        {"connections": (8,)},
        {"address": "2001:db8::/32"},
        {"account": "chori"},
        {"kind": "websocket"},
        {"method": "mtls"},
        {"identity": "web1.example.net", "account": "other"},
    ],
    ids=str,
)
def test_nobody_else_is_meant(wanted: dict[str, Any]) -> None:
    assert not selector(Selection(**wanted))(SESSION)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"certificate": "web1"}, "serial number in hex"),
        ({"issuer": "CN=ca"}, "goes with the serial number"),
        ({"address": "web1"}, "an IP address or a network"),
    ],
    ids=str,
)
def test_what_means_nothing_is_said(wanted: dict[str, Any], problem: str) -> None:
    with pytest.raises(SelectionError, match=problem):
        selector(Selection(**wanted))


def test_nothing_selected_is_everybody() -> None:
    assert Selection().empty
    assert not Selection(kind="client").empty
    assert selector(Selection())(SESSION)
    assert selector(Selection())(NOBODY)


@given(st.integers(0, 2**160))
def test_serial_numbers_have_one_spelling(number: int) -> None:
    text = f"{number:040x}"
    pairs = ":".join(text[i : i + 2] for i in range(0, len(text), 2))
    assert {serial_number(each) for each in (text, text.upper(), f"0x{text}", pairs)} == {f"{number:x}"}


TEXT = st.sampled_from(["", "a", "b"])
HOLDERS = st.builds(
    Holder,
    identity=TEXT,
    caller=TEXT,
    method=TEXT,
    token_id=TEXT,
    key=TEXT,
    chain=st.lists(st.tuples(TEXT, TEXT), max_size=1).map(tuple),
)
SESSIONS = st.builds(
    Session,
    connection=st.integers(1, 3),
    kind=TEXT,
    address=st.sampled_from(["", "192.0.2.1", "2001:db8::1"]),
    account=TEXT,
    username=TEXT,
    tls=TEXT,
    since=st.just(1.0),
    holder=HOLDERS,
)
SELECTIONS = st.builds(
    Selection,
    identity=TEXT,
    caller=TEXT,
    token=TEXT,
    key=TEXT,
    connections=st.lists(st.integers(1, 3), max_size=2).map(tuple),
    address=st.sampled_from(["", "192.0.2.0/24", "2001:db8::1"]),
    account=TEXT,
    kind=TEXT,
    method=TEXT,
)


@given(SELECTIONS, SESSIONS)
def test_every_part_of_a_selection_narrows_it(selection: Selection, session: Session) -> None:
    parts = [
        Selection(**{name: value})
        for name, value in msgspec.structs.asdict(selection).items()
        if value != getattr(Selection(), name)
    ]
    assert selector(selection)(session) is all(selector(part)(session) for part in parts)
    sent = msgspec.json.decode(msgspec.json.encode(selection), type=Selection)
    assert sent == selection


@given(SELECTIONS, SESSIONS)
def test_who_says_nothing_of_itself_is_not_meant_by_it(selection: Selection, session: Session) -> None:
    anonymous = msgspec.structs.replace(session, holder=Holder())
    if any((selection.identity, selection.caller, selection.token, selection.key, selection.method)):
        assert not selector(selection)(anonymous)


@pytest.mark.parametrize(
    "text",
    ["WEB1", "bob", "192.0.2", "the-tok", "the-iss", "caca", "bbbb", "4f3a", "ffff", "7", "up="],
)
def test_a_text_is_looked_for_everywhere(text: str) -> None:
    assert mentions(SESSION, text)
    assert not mentions(NOBODY, text)


def test_a_part_of_a_number_is_no_mention() -> None:
    many = msgspec.structs.replace(NOBODY, connection=78)
    assert not mentions(many, "7")
    assert mentions(many, "78")


def test_ten_thousand_are_gone_through_in_no_time() -> None:
    meant = selector(Selection(identity="*9.example.net", address="10.0.0.0/8", key="bb" * 32))
    sessions = [msgspec.structs.replace(SESSION, connection=number) for number in range(10_000)]
    begun = time.process_time()
    assert not [each for each in sessions if meant(each)]
    assert not [each for each in sessions if mentions(each, "nobody at all")]
    assert time.process_time() - begun < 2.0


def test_every_text_of_a_selection_is_a_selector() -> None:
    texts = {name for name, usual in msgspec.structs.asdict(Selection()).items() if usual == ""}
    assert set(SELECTORS) == texts
    assert len(SELECTORS) == len(texts)
