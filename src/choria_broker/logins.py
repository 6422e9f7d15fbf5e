"""The broker's own connections: through the bridge, and in operator mode with credentials of an account."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client

from choria_broker.access.policy import OWN_ACCOUNT
from choria_broker.access.verdict import CHORIA_ACCOUNT, SYSTEM_ACCOUNT
from choria_broker.config.files import read_token_file
from choria_broker.config.settings import Operator
from choria_broker.errors import NotReadyError
from choria_broker.security.nats_tokens import LARGEST_TOKEN, NatsTokenError, Role, decorated_parts, private_key


def credentials_file(operator: Operator, account: str) -> Path:
    """Return the credentials file for an account.

    Args:
        operator: whose accounts there are.
        account: name or public key; ``choria`` and ``system`` are the accounts with these roles, if there are any.

    Raises:
        NotReadyError: there is no such account, or no credentials file for it.
    """
    roles = {CHORIA_ACCOUNT: operator.choria, SYSTEM_ACCOUNT: operator.system}
    found = roles.get(account) or operator.account(account)
    if found is None:
        setting = {CHORIA_ACCOUNT: "choria_account", SYSTEM_ACCOUNT: "system_account"}.get(account)
        why = (
            f"plugin.choria.network.{setting} is not set"
            if setting
            else f"operator {operator.name} has no such account"
        )
        raise NotReadyError(f"the broker cannot log in to account {account}: {why}")
    if found.credentials is None:
        directory = operator.credentials_directory(found.name)
        raise NotReadyError(f"the broker cannot log in to account {found.name}: {directory} has no credentials file")
    return found.credentials


def login_to(account: str, operator: Operator | None, accounts: Collection[str], secret: str) -> dict[str, Any]:
    """Return the options with which the broker's own NATS clients log in to an account.

    Args:
        account: its name; in operator mode also its public key.
        operator: whose accounts there are, None when the broker has its own.
        accounts: the broker's own accounts.
        secret: opens the bridge where there is no operator.

    Raises:
        NotReadyError: there is no such account, or no credentials file for it.
    """
    if operator:
        return login_with(credentials_file(operator, account))
    if account not in accounts:
        raise NotReadyError(f"the broker has no account {account}")
    return {"user": OWN_ACCOUNT + account, "password": secret}


async def connected(port: int, options: Mapping[str, Any]) -> Client:
    """Connect a NATS client through the bridge.

    Args:
        port: of the bridge.
        options: of the client, the login among them.
    """
    client = Client()
    try:
        await client.connect(f"nats://127.0.0.1:{port}", **({"name": "choria-broker"} | dict(options)))
    except (OSError, nats.errors.Error, NotReadyError, asyncio.CancelledError):
        await client.close()
        raise
    return client


def login_with(path: Path) -> dict[str, Any]:
    """Return the options with which a NATS client logs in with a credentials file; it is read at each connection.

    The options raise ``NotReadyError`` when the file is no credentials file any more.
    """

    def part(number: int) -> bytes:
        content = read_token_file(path).content
        parts = decorated_parts(content) if len(content) <= LARGEST_TOKEN else ()
        if number >= len(parts):
            raise NotReadyError(f"{path} is not a credentials file that can be read")
        return parts[number]

    def token() -> bytes:
        return part(0)

    def signature(nonce: str) -> bytes:
        try:
            key = private_key(part(1), Role.USER)
        except NatsTokenError:
            raise NotReadyError(f"{path} has no seed of a user") from None
        return base64.b64encode(key.sign(nonce.encode()))

    return {"user_jwt_cb": token, "signature_cb": signature}
