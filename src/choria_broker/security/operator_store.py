"""Verifies what a store of NATS's decentralised logins holds: an operator, its accounts, and users of these.

nats-server takes the operator's file for granted, refuses to start when one account cannot be read, and says nothing
of an account that somebody else signed until its users are refused. So all of it is judged here before it gets there.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from choria_broker.security.credentials import CredentialsProblem, inspect_credentials
from choria_broker.security.nats_tokens import (
    NatsToken,
    NatsTokenError,
    Role,
    is_public_key,
    read_token,
)

_AGAIN = "write the store again with nsc, or copy all of it again"


class StoreError(ValueError):
    """A file of a store cannot be used.

    Attributes:
        problem: why, without a final full stop and without anything of the file.
        remedy: what to do.
        expired: the file is whole, and only its time is over.
    """

    def __init__(self, problem: str, remedy: str = _AGAIN, *, expired: bool = False) -> None:
        """Take what is known."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.expired = expired


class StoredOperator(msgspec.Struct, frozen=True):
    """An operator whose token is whole and valid.

    Attributes:
        key: its public key.
        token: its token.
        signers: keys that may sign accounts.
        strict: who has signing keys does not sign with the key of its own, accounts included.
        system_account: public key of the system account its token names, empty when it names none.
    """

    key: str
    token: str
    signers: frozenset[str]
    strict: bool
    system_account: str


class StoredAccount(msgspec.Struct, frozen=True):
    """An account that the operator vouches for.

    Attributes:
        name: its name.
        key: its public key.
        token: its token.
        signers: keys that may sign users.
        not_before: Unix seconds before which nobody gets in, 0 when there is no such time.
    """

    name: str
    key: str
    token: str
    signers: frozenset[str]
    not_before: int


def read_operator(content: bytes, now: dt.datetime) -> StoredOperator:
    """Read and verify the token of an operator.

    Args:
        content: of its file.
        now: time for validity, with time zone.

    Raises:
        StoreError: it cannot be used.
    """
    token = _token(content, "operator", Role.OPERATOR)
    further = _keys(token, Role.OPERATOR)
    if token.issuer not in {token.subject, *further}:
        raise StoreError("not signed by the operator or one of its signing keys")
    seconds = now.timestamp()
    if token.expires and token.expires <= seconds:
        raise StoreError("the operator has expired", "renew it with nsc edit operator --expiry", expired=True)
    if token.not_before > seconds:
        raise StoreError("the operator is not valid yet", "wait, or change it with nsc edit operator --start")
    strict = token.claims.get("strict_signing_key_usage") is True
    system = token.claims.get("system_account") or ""
    if system and not (isinstance(system, str) and is_public_key(system, Role.ACCOUNT)):
        raise StoreError("its system account is not the key of an account")
    return StoredOperator(token.subject, token.text, _signers(token, further, strict=strict), strict, system)


def read_account(content: bytes, name: str, operator: StoredOperator, now: dt.datetime) -> StoredAccount:
    """Read and verify the token of an account.

    Args:
        content: of its file.
        name: what the store calls the account.
        operator: who has to vouch for it.
        now: time for validity, with time zone.

    Raises:
        StoreError: it cannot be used.
    """
    token = _token(content, "account", Role.ACCOUNT)
    if token.issuer not in operator.signers:
        itself = token.issuer == operator.key
        problem = "signed by the operator's own key, but only its signing keys are accepted" if itself else ""
        raise StoreError(problem or "not signed by the operator", "sign it with nsc edit account, or remove it")
    if token.name != name:
        raise StoreError("its token belongs to an account with another name", "rename the directory and the file")
    if token.expires and token.expires <= now.timestamp():
        raise StoreError("the account has expired", "renew it with nsc edit account --expiry", expired=True)
    signers = _signers(token, _keys(token, Role.ACCOUNT), strict=operator.strict)
    return StoredAccount(name, token.subject, token.text, signers, token.not_before)


def check_credentials(content: bytes, account: StoredAccount, now: dt.datetime) -> None:
    """Check that a credentials file is one of a user of an account.

    Args:
        content: of the file.
        account: the account.
        now: time for validity, with time zone.

    Raises:
        StoreError: nobody gets in with it.
    """
    token = inspect_credentials(content, now)
    if isinstance(token, CredentialsProblem):
        raise StoreError(token.problem, token.remedy, expired=token.expired)
    if token.issuer not in account.signers or token.claims.get("issuer_account", account.key) != account.key:
        raise StoreError(
            "its user does not belong to this account", "write it with nsc generate creds for this account"
        )


def _token(content: bytes, kind: str, role: Role) -> NatsToken:
    try:
        token = read_token(content)
    except NatsTokenError as error:
        raise StoreError(str(error)) from None
    if token.kind != kind or not is_public_key(token.subject, role):
        raise StoreError(f"not the token of an {kind}")
    return token


def _signers(token: NatsToken, further: frozenset[str], *, strict: bool) -> frozenset[str]:
    return further if strict else further | {token.subject}


def _keys(token: NatsToken, role: Role) -> frozenset[str]:
    """Return the further keys that sign for the subject of a token; an entry may be a key with limits."""
    entries = token.claims.get("signing_keys") or []
    if not isinstance(entries, list):
        raise StoreError("its signing keys are not a list")
    keys = [str(entry.get("key") if isinstance(entry, dict) else entry) for entry in entries]
    if not all(is_public_key(key, role) for key in keys):
        raise StoreError("one of its signing keys cannot be used for signing")
    return frozenset(keys)
