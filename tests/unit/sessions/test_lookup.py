from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from choria_broker.access.session import Departed, Holder, Session
from choria_broker.audit.decided import Decision
from choria_broker.sessions.documents import Sightings
from choria_broker.sessions.lookup import MOST, look, within
from support.sessions import departed, session


def present(number: int, identity: str = "web1") -> Session:
    return session(number, username=identity, holder=Holder(identity=identity))


def former(number: int, identity: str = "web1") -> Departed:
    return departed(number, username=identity, until=float(number))


REFUSED = Decision(
    time=5.0,
    connection_id=9,
    address="192.0.2.9",
    kind="client",
    tls="anon",
    common_name="web1.example.net",
    serial="4f3a",
    fingerprint="ff",
    allowed=False,
    method="token",
    rule="token-expired",
    reason='Token of "db1": it expired.',
    remedy="Renew it.",
    account="",
    username="",
    permissions=None,
    trail=(),
    seconds=0.1,
)


def seen(text: str, *decisions: Decision, live: int = 0, gone: int = 0) -> Sightings:
    return look(
        text,
        broker="here",
        since=1.0,
        live=[present(number + 1) for number in range(live)],
        departed=[former(number + 1) for number in range(gone)],
        decisions=decisions,
    )


@pytest.mark.parametrize("text", ["WEB1", "db1", "192.0.2.9", "4f3a", "9"])
def test_who_was_refused_is_found_by_what_is_known(text: str) -> None:
    (refused,) = seen(text, REFUSED).refused
    assert (refused.rule, refused.connection, refused.remedy) == ("token-expired", 9, "Renew it.")


@pytest.mark.parametrize("text", ["web2", "99", "192.0.2.8"])
def test_others_are_not(text: str) -> None:
    assert seen(text, REFUSED, live=1, gone=1).nothing


def test_who_was_let_in_was_not_refused() -> None:
    assert seen("web1", structs.replace(REFUSED, allowed=True)).nothing


def test_the_latest_come_first_and_there_are_not_too_many() -> None:
    told = seen("web1", REFUSED, structs.replace(REFUSED, time=6.0), live=MOST + 2, gone=MOST + 3)
    assert [each.time for each in told.refused] == [6.0, 5.0]
    assert (len(told.connected), len(told.departed), told.left_out) == (MOST, MOST, 5)
    assert [each.number for each in told.departed[:2]] == [MOST + 3, MOST + 2]


def test_what_does_not_fit_is_left_out_and_counted() -> None:
    told = seen("web1", REFUSED, live=MOST, gone=MOST)
    assert msgspec.json.decode(within(told, 10**6), type=Sightings) == told
    text = within(told, 5000)
    less = msgspec.json.decode(text, type=Sightings)
    assert len(text) <= 5000
    assert len(less.connected) + len(less.departed) + len(less.refused) + less.left_out == 2 * MOST + 1
    assert less.connected
    assert msgspec.json.decode(within(told, 1), type=Sightings).left_out == 2 * MOST + 1
