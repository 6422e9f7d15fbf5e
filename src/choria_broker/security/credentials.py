"""Looks into NATS credentials files, a user's token and the seed of the user's key, and says what is wrong."""

from __future__ import annotations

import datetime as dt

import msgspec

from choria_broker.security.nats_tokens import (
    NatsToken,
    NatsTokenError,
    Role,
    decorated_parts,
    is_public_key,
    private_key,
    public_key,
    read_token,
)

_AGAIN = "write the file again with nsc, or get it again from its source"


class CredentialsProblem(msgspec.Struct, frozen=True):
    """What is wrong with a credentials file.

    Attributes:
        problem: what it is, without a final full stop and without anything of the file.
        remedy: what to do.
        expired: True when the file is whole and only its time is over; the engine reads it again at each attempt.
    """

    problem: str
    remedy: str = _AGAIN
    expired: bool = False


def inspect_credentials(content: bytes, now: dt.datetime) -> NatsToken | CredentialsProblem:
    """Check a credentials file.

    Args:
        content: of the file.
        now: time for validity, with time zone.

    Returns:
        The user's token, or the first problem that can be seen without the server the file is for.
    """
    parts = decorated_parts(content)
    if len(parts) < 2:  # noqa: PLR2004 - a token and a seed
        return CredentialsProblem("not a NATS credentials file")
    try:
        key = private_key(parts[1], Role.USER)
    except NatsTokenError:
        return CredentialsProblem("its seed is not that of a NATS user")
    try:
        token = _user_token(parts[0])
    except NatsTokenError as error:
        return CredentialsProblem(f"its token is {error}")
    if public_key(token.subject, Role.USER).public_bytes_raw() != key.public_key().public_bytes_raw():
        return CredentialsProblem("its token belongs to another key than its seed")
    if token.expires and token.expires <= now.timestamp():
        return CredentialsProblem("its token has expired", "renew the file", expired=True)
    return token


def _user_token(text: bytes) -> NatsToken:
    token = read_token(text)
    by_account = is_public_key(token.issuer, Role.ACCOUNT) and is_public_key(token.subject, Role.USER)
    if token.kind != "user" or not by_account:
        raise NatsTokenError("not a token that an account issued to a user")
    return token
