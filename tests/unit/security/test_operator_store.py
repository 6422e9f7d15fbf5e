"""Operators, accounts and users of a store."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.operator_store import (
    StoredAccount,
    StoredOperator,
    StoreError,
    check_credentials,
    read_account,
    read_operator,
)
from support.nats_server import Signer, User
from support.stores import WRITTEN_BY_NSC, signed

NOW = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
SECONDS = int(NOW.timestamp())
OPERATOR, SIGNING, STRANGER, ACCOUNT, USERS = (
    Signer("operator"),
    Signer("operator"),
    Signer("operator"),
    Signer("account"),
    Signer("account"),
)
STRICT: dict[str, Any] = {"signing_keys": [SIGNING.public], "strict_signing_key_usage": True}


def operator(signer: Signer = OPERATOR, **claims: Any) -> bytes:
    return signed(signer, OPERATOR, "OPS", "operator", **claims).encode()


def account(signer: Signer = OPERATOR, **claims: Any) -> bytes:
    return signed(signer, ACCOUNT, "ACME", "account", **claims).encode()


def known(**claims: Any) -> StoredOperator:
    return read_operator(operator(**claims), NOW)


def problem(content: bytes, by: StoredOperator | None = None, name: str = "ACME") -> StoreError:
    with pytest.raises(StoreError) as caught:
        read_account(content, name, by or known(), NOW)
    return caught.value


def test_the_store_that_nsc_wrote() -> None:
    stored = read_operator((WRITTEN_BY_NSC / "OPS.jwt").read_bytes(), NOW)
    assert stored.strict
    assert stored.key not in stored.signers
    accounts = {}
    for name in ("SYS", "ACME", "GLOBEX", "FLEET"):
        found = read_account((WRITTEN_BY_NSC / "accounts" / name / f"{name}.jwt").read_bytes(), name, stored, NOW)
        accounts[name] = found
        check_credentials((WRITTEN_BY_NSC / "creds" / name / "broker.creds").read_bytes(), found, NOW)
    assert accounts["SYS"].key == stored.system_account
    assert len({found.key for found in accounts.values()}) == 4
    with pytest.raises(StoreError, match="does not belong to this account"):
        check_credentials((WRITTEN_BY_NSC / "creds/ACME/broker.creds").read_bytes(), accounts["GLOBEX"], NOW)


@pytest.mark.parametrize(
    ("content", "signers", "system"),
    [
        (operator(), {OPERATOR.public}, ""),
        (operator(system_account=ACCOUNT.public), {OPERATOR.public}, ACCOUNT.public),
        (operator(signing_keys=[SIGNING.public]), {OPERATOR.public, SIGNING.public}, ""),
        (operator(SIGNING, signing_keys=[SIGNING.public]), {OPERATOR.public, SIGNING.public}, ""),
        (operator(**STRICT), {SIGNING.public}, ""),
        (operator(exp=SECONDS + 1, nbf=SECONDS), {OPERATOR.public}, ""),
    ],
    ids=itertools.count(),
)
def test_operators(content: bytes, signers: set[str], system: str) -> None:
    stored = read_operator(content, NOW)
    assert (stored.key, set(stored.signers), stored.system_account) == (OPERATOR.public, signers, system)
    assert stored.token.encode() == content


@pytest.mark.parametrize(
    ("content", "told", "expired"),
    [
        (b"", "not a NATS token", False),
        (account(), "not the token of an operator", False),
        (operator(own={"sub": ACCOUNT.public}), "not the token of an operator", False),
        (operator(STRANGER), "not signed by the operator or one of its signing keys", False),
        (operator(STRANGER, signing_keys=[SIGNING.public]), "not signed by the operator or one of its", False),
        (operator(signing_keys=[ACCOUNT.public]), "signing keys", False),
        (operator(signing_keys="O"), "signing keys are not a list", False),
        (operator(system_account="SYS"), "system account", False),
        (operator(exp=SECONDS), "the operator has expired", True),
        (operator(nbf=SECONDS + 1), "not valid yet", False),
    ],
    ids=itertools.count(),
)
def test_operators_that_cannot_be_used(content: bytes, told: str, *, expired: bool) -> None:
    with pytest.raises(StoreError, match=told) as caught:
        read_operator(content, NOW)
    assert caught.value.expired is expired
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("claims", "signer", "strict"),
    [({}, OPERATOR, False), ({"signing_keys": [SIGNING.public]}, SIGNING, False), (STRICT, SIGNING, True)],
    ids=itertools.count(),
)
def test_accounts_that_the_operator_vouches_for(claims: dict[str, Any], signer: Signer, *, strict: bool) -> None:
    scope = {"kind": "user_scope", "key": USERS.public, "role": "reader"}
    stored = read_account(account(signer, exp=SECONDS + 1, signing_keys=[scope]), "ACME", known(**claims), NOW)
    assert (stored.name, stored.key, stored.not_before) == ("ACME", ACCOUNT.public, 0)
    assert set(stored.signers) == ({USERS.public} if strict else {USERS.public, ACCOUNT.public})


@pytest.mark.parametrize("claims", [{}, {"signing_keys": [SIGNING.public]}], ids=["own", "signing"])
def test_accounts_of_strangers(claims: dict[str, Any]) -> None:
    for content in (account(STRANGER), account(ACCOUNT), account(own={"iss": STRANGER.public})):
        assert problem(content, known(**claims)).problem in {
            "not signed by the operator",
            "changed after it was signed, or not signed by the key it names",
        }
    assert problem(account(SIGNING)).problem == "not signed by the operator"


def test_strict_operators_do_not_sign_with_their_own_key() -> None:
    assert problem(account(OPERATOR), known(**STRICT)).problem.startswith("signed by the operator's own key")


@pytest.mark.parametrize(
    ("content", "told", "expired"),
    [
        (b"half a file", "not a NATS token", False),
        # So many characters are never whole bytes; four fewer can be, by the accident of the key.
        (account()[:-5], "not a NATS token", False),
        (operator(), "not the token of an account", False),
        (account(own={"sub": OPERATOR.public}), "not the token of an account", False),
        (account(own={"name": "GLOBEX"}), "another name", False),
        (account(exp=SECONDS), "the account has expired", True),
        (account(signing_keys=[OPERATOR.public]), "signing keys", False),
        (account(signing_keys=[{"kind": "user_scope"}]), "signing keys", False),
        (account(signing_keys=7), "signing keys", False),
    ],
    ids=itertools.count(),
)
def test_accounts_that_cannot_be_used(content: bytes, told: str, *, expired: bool) -> None:
    found = problem(content)
    assert told in found.problem
    assert found.expired is expired


def test_an_account_may_be_for_later() -> None:
    assert read_account(account(nbf=SECONDS + 5), "ACME", known(), NOW).not_before == SECONDS + 5


def credentials(signer: Signer, **claims: Any) -> bytes:
    key = Signer("user")
    return User(signed(signer, key, "broker", "user", **claims), key).text().encode()


def members(*, strict: bool = False) -> StoredAccount:
    claims = {"signing_keys": [SIGNING.public], "strict_signing_key_usage": strict}
    return read_account(account(SIGNING, signing_keys=[USERS.public]), "ACME", known(**claims), NOW)


@pytest.mark.parametrize(
    ("content", "strict", "told"),
    [
        (credentials(ACCOUNT), False, ""),
        (credentials(USERS, issuer_account=ACCOUNT.public), False, ""),
        (credentials(USERS, issuer_account=ACCOUNT.public), True, ""),
        (credentials(ACCOUNT), True, "does not belong to this account"),
        (credentials(Signer("account")), False, "does not belong to this account"),
        (credentials(USERS, issuer_account=Signer("account").public), False, "does not belong to this account"),
        (credentials(ACCOUNT, exp=SECONDS), False, "expired"),
        (b"nothing", False, "not a NATS credentials file"),
    ],
    ids=itertools.count(),
)
def test_credentials_of_users(content: bytes, told: str, *, strict: bool) -> None:
    if not told:
        check_credentials(content, members(strict=strict), NOW)
        return
    with pytest.raises(StoreError, match=told):
        check_credentials(content, members(strict=strict), NOW)


@given(content=st.binary(max_size=400))
def test_no_bytes_bring_it_down(content: bytes) -> None:
    for read in (lambda: read_operator(content, NOW), lambda: read_account(content, "ACME", known(), NOW)):
        with pytest.raises(StoreError):
            read()
