"""With what the broker logs in to accounts of an operator."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from choria_broker.engine.bridge import credentials_file, login_with
from choria_broker.errors import NotReadyError
from choria_broker.security.nats_tokens import LARGEST_TOKEN, Role, public_key, read_token
from choria_broker.settings.operator import Operator, OperatorAccount
from choria_broker.values import replace
from support.stores import WRITTEN_BY_NSC

STORE = Path("/store")
ACME = OperatorAccount(name="ACME", key="AKEY", token="t", credentials=STORE / "acme.creds")
SYS, BARE = (
    OperatorAccount(name="SYS", key="SKEY", token="t", credentials=STORE / "sys.creds"),
    OperatorAccount(name="BARE", key="BKEY", token="t"),
)
CHORIA = OperatorAccount(name="choria", key="CKEY", token="t", credentials=STORE / "choria.creds")
OPERATOR = Operator(name="OPS", directory=STORE, token="t", accounts=(ACME, SYS, BARE), system=SYS, choria=ACME)


@pytest.mark.parametrize(
    ("account", "file"),
    [("choria", "acme"), ("ACME", "acme"), ("AKEY", "acme"), ("system", "sys"), ("SYS", "sys")],
)
def test_accounts_by_role_name_and_key(account: str, file: str) -> None:
    assert credentials_file(OPERATOR, account) == STORE / f"{file}.creds"


def test_an_account_may_be_called_as_a_role() -> None:
    operator = replace(OPERATOR, accounts=(CHORIA,), choria=None, system=None)
    assert credentials_file(operator, "choria") == STORE / "choria.creds"


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ("NOBODY", "operator OPS has no such account"),
        ("BARE", "/store/creds/BARE has no credentials file"),
    ],
)
def test_accounts_without_a_login(account: str, told: str) -> None:
    with pytest.raises(NotReadyError, match=told):
        credentials_file(OPERATOR, account)


@pytest.mark.parametrize(("account", "setting"), [("choria", "choria_account"), ("system", "system_account")])
def test_roles_that_nobody_has(account: str, setting: str) -> None:
    operator = replace(OPERATOR, choria=None, system=None)
    with pytest.raises(NotReadyError, match=f"plugin.choria.network.{setting} is not set"):
        credentials_file(operator, account)


def test_a_login_is_a_token_and_a_signature() -> None:
    file = WRITTEN_BY_NSC / "creds" / "ACME" / "broker.creds"
    login = login_with(file)
    token = read_token(login["user_jwt_cb"]())
    assert token.kind == "user"
    signature = base64.b64decode(login["signature_cb"]("a nonce"))
    public_key(token.subject, Role.USER).verify(signature, b"a nonce")


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "broker.creds"
    login = login_with(file)
    with pytest.raises(NotReadyError, match=str(file)):
        login["user_jwt_cb"]()
    with pytest.raises(NotReadyError, match=str(file)):
        login["signature_cb"]("n")
    file.write_bytes((WRITTEN_BY_NSC / "creds" / "ACME" / "broker.creds").read_bytes())
    assert read_token(login["user_jwt_cb"]()).name == "broker"
    file.write_text(file.read_text().replace("\nSU", "\nSX"))
    with pytest.raises(NotReadyError, match="no user seed"):
        login["signature_cb"]("n")


@pytest.mark.parametrize("broken", ["a pipe", "a device", "too large", "a directory"])
def test_a_file_that_became_something_else_keeps_nobody_waiting(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "broker.creds"
    match broken:
        case "a pipe":
            os.mkfifo(file)
        case "a device":
            file.symlink_to("/dev/zero")
        case "too large":
            good = (WRITTEN_BY_NSC / "creds" / "ACME" / "broker.creds").read_bytes()
            file.write_bytes(good + b"\n" * LARGEST_TOKEN)
        case _:
            file.mkdir()
    login = login_with(file)
    for ask in (login["user_jwt_cb"], lambda: login["signature_cb"]("n")):
        with pytest.raises(NotReadyError, match=str(file)):
            ask()
