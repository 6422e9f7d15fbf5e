"""The broker's own connections: through the bridge, and in operator mode with credentials of an account."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from choria_broker.access.policy import OWN_ACCOUNT
from choria_broker.client_end import client_errors, heeding_cancellation, let_go, loaded
from choria_broker.errors import NotReadyError
from choria_broker.host.files import read_token_file
from choria_broker.security.nats_tokens import LARGEST_TOKEN, NatsTokenError, Role, decorated_parts, private_key
from choria_broker.settings.accounts import CHORIA_ACCOUNT, SYSTEM_ACCOUNT
from choria_broker.settings.operator import Operator

if TYPE_CHECKING:
    from nats.aio.client import Client

_SERVER = "nats://bridge"
"""What clients name as their server; the socket has one only."""


class WayIn(msgspec.Struct, frozen=True):
    """The way through the bridge, as another process of the broker is told it.

    Attributes:
        directory: where the socket is.
        socket: its name there.
        user, password: opens it; empty in operator mode.
        credentials: path of the credentials file of the account in operator mode.
    """

    directory: str
    socket: str
    user: str = ""
    password: str = ""
    credentials: str = ""


def credentials_file(operator: Operator, account: str) -> Path:
    """Return the credentials file for an account.

    Args:
        operator: whose accounts there are.
        account: name or public key; ``choria`` and ``system`` are the accounts with these roles, if there are any.

    Raises:
        NotReadyError: there is no such account, or no credentials file for it.
    """
    roles = {CHORIA_ACCOUNT: operator.choria, SYSTEM_ACCOUNT: operator.system}
    stored = roles.get(account) or operator.account(account)
    if stored is None:
        setting = {CHORIA_ACCOUNT: "choria_account", SYSTEM_ACCOUNT: "system_account"}.get(account)
        why = (
            f"plugin.choria.network.{setting} is not set"
            if setting
            else f"operator {operator.name} has no such account"
        )
        raise NotReadyError(f"the broker cannot log in to account {account}: {why}")
    if stored.credentials is None:
        directory = operator.credentials_directory(stored.name)
        raise NotReadyError(
            f"the broker cannot log in to account {stored.name}: {directory} has no credentials file for it"
        )
    return stored.credentials


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


async def connected(address: str, options: Mapping[str, Any], client: Client | None = None) -> Client:
    """Connect a NATS client through the bridge.

    Args:
        address: of the bridge's socket.
        options: of the client, the login among them.
        client: the client, of another class than the usual one.
    """
    await loaded()
    from nats.aio.client import Client as Usual  # noqa: PLC0415 - loaded just now, beside the loop

    from choria_broker.engine.own_transport import OwnTransport  # noqa: PLC0415 - of a class of the library

    client = client or Usual()
    # The client offers no other way to give it a transport.
    client._transport = OwnTransport(address)  # noqa: SLF001
    try:
        with heeding_cancellation():
            await client.connect(_SERVER, **({"name": "choria-broker"} | dict(options)))
    except client_errors(OSError, NotReadyError, asyncio.CancelledError):
        await let_go(client)
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
            raise NotReadyError(f"{path} is not a readable credentials file")
        return parts[number]

    def token() -> bytes:
        return part(0)

    def signature(nonce: str) -> bytes:
        try:
            key = private_key(part(1), Role.USER)
        except NatsTokenError:
            raise NotReadyError(f"{path} has no user seed") from None
        return base64.b64encode(key.sign(nonce.encode()))

    return {"user_jwt_cb": token, "signature_cb": signature}
