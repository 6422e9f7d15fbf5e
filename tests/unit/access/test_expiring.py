"""Tokens that end within a day are counted by who signed them."""

from __future__ import annotations

from choria_broker.access.expiring import SOON, expiring
from choria_broker.access.session import Holder, Session

NOW = 1_000_000


def session(expires: int | None, signer: str = "ed25519:ab", organization: str = "acme") -> Session:
    return Session(
        connection=1,
        kind="client",
        address="192.0.2.1",
        account="choria",
        username="",
        tls="anon",
        since=1.0,
        holder=Holder(signer=signer, organization=organization, token_id="x", expires=expires),
    )


def test_each_issuer_has_a_number_and_it_is_of_those_that_end_within_a_day() -> None:
    day = int(SOON)
    sessions = (
        session(NOW + day),
        session(NOW - 5),
        session(NOW + day + 1),
        session(None),
        session(NOW + day + 1, "ed25519:cd", "globex"),
        session(NOW, signer=""),
    )

    assert expiring(sessions, NOW) == {("acme", "ed25519:ab"): 2, ("globex", "ed25519:cd"): 0}


def test_of_very_many_issuers_those_with_most_are_told() -> None:
    many = [session(NOW, f"key{number}") for number in range(200)] + [session(NOW, "key150")]

    found = expiring(many, NOW)

    assert len(found) == 100
    assert found["acme", "key150"] == 2
