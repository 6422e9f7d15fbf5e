"""What there is to say about connections that the engine lets in by verdicts about others."""

from __future__ import annotations

from msgspec import structs

from choria_broker.access.request import Certificate, ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.session import Again, Holder
from choria_broker.access.verdict import Permissions, Step, SubjectRules, Verdict
from choria_broker.audit import lasting
from choria_broker.audit.decided import Decision, decision_of, room_of
from choria_broker.audit.lasting import Lasting

NOW = 1_000_000.0
LIMITS = Permissions(publish=SubjectRules(allow=("a.>",)))
FIRST = Certificate("one", "01", "CN=CA", "aa")
SECOND = Certificate("two", "02", "CN=CA", "bb")


def decided(connection: int, outcome: str = "accepted") -> Decision:
    request = ConnectRequest(
        ConnectionKind.CLIENT, TlsState.MTLS, "192.0.2.1", certificate=FIRST, connection_id=connection, name="first"
    )
    verdict = Verdict(
        allowed=True,
        rule="mtls",
        reason="A reason.",
        method="mtls",
        account="choria",
        username="bob",
        permissions=LIMITS,
        trail=(Step("mtls", outcome),),
        holder=Holder(identity="one", method="mtls", rule="mtls", certificate=FIRST),
    )
    return decision_of(request, verdict, 0.001, NOW)


def learn(known: Lasting, decision: Decision) -> None:
    known.learn(decision, room_of(decision))


def test_the_same_is_said_of_another_connection() -> None:
    known = Lasting()
    first = decided(7)
    learn(known, first)
    holder = Holder(identity="two", method="mtls", rule="mtls", certificate=SECOND, expires=99)
    again = Again(connection=8, by=7, address="192.0.2.2", holder=holder, name="second", seconds=0.5)
    found, size = known.decision(again, NOW + 1)
    assert size >= room_of(found)
    assert found == structs.replace(
        first,
        time=NOW + 1,
        connection_id=8,
        address="192.0.2.2",
        common_name="two",
        serial="02",
        fingerprint="bb",
        claimed="name 'second'",
        seconds=0.5,
        expires=99,
    )


def test_what_was_presented_and_does_not_count_is_said_too() -> None:
    known = Lasting()
    learn(known, decided(7))
    again, _ = known.decision(Again(connection=8, by=7), NOW)
    assert (again.common_name, again.serial, again.fingerprint) == ("one", "01", "aa")


def test_what_is_not_known_any_more_is_told_as_far_as_it_is() -> None:
    holder = Holder(caller="up=bob", method="token", rule="client-token", token_id="t", signer="s", expires=5)
    found, size = Lasting().decision(Again(connection=8, by=7, address="192.0.2.2", holder=holder), NOW)
    assert size == room_of(found)
    assert (found.allowed, found.rule, found.method, found.username) == (True, "client-token", "token", "up=bob")
    assert (found.token_id, found.issuer, found.expires, found.address) == ("t", "s", 5, "192.0.2.2")


def test_the_oldest_are_forgotten_first() -> None:
    known = Lasting()
    for connection in range(lasting.MOST + 2):
        learn(known, decided(connection))
    assert len(known) == lasting.MOST
    assert [each.connection_id for each in known.remember()[:1]] == [2]


def test_what_others_have_chosen_is_bounded() -> None:
    known = Lasting()
    for connection in range(100):
        learn(known, decided(connection, "x" * 1_000_000))
    assert len(known) <= 25
    assert known.remember()[-1].connection_id == 99


def test_what_cannot_be_used_any_more_is_forgotten() -> None:
    known = Lasting()
    learn(known, decided(7))
    known.forget_old(NOW + 359)
    assert len(known) == 1
    known.forget_old(NOW + 361)
    assert len(known) == 0
    learn(known, decided(8))
    known.forget_old(NOW - 5)  # The clock was set back: nobody knows.
    assert len(known) == 0
