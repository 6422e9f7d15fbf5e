"""What the commands that make tokens share: options, and the last steps."""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from choria_broker.access.subjects import is_literal, is_subject, is_subscription
from choria_broker.cli.answers import show
from choria_broker.cli.jwt import files
from choria_broker.config.text.values import BadValueError, duration
from choria_broker.security import ksuid
from choria_broker.security.issuing import DEFAULT_ORGANIZATION, Birth, IssuingError
from choria_broker.security.signing import SigningKey
from choria_broker.security.token_permissions import ClientPermission, ServerPermission

Command = TypeVar("Command", bound=Callable[..., Any])

PLAIN_FILE = click.Path(readable=False, path_type=Path)
"""A path that the command itself complains about, because it knows the remedy."""


def seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    """Read an option with a length of time such as ``90m``, ``30d`` or ``1y``, at least one second.

    Returns:
        Whole seconds, zero when the option is absent.

    Raises:
        click.BadParameter: when it is anything else.
    """
    if value is None:
        return 0
    try:
        length = duration(value)
    except BadValueError as error:
        raise click.BadParameter(f"{value!r} is {error.problem}: {error.remedy}") from None
    if length < 1:
        raise click.BadParameter(f"{value!r} is shorter than one second: use a longer time")
    return int(length)


def subjects(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Read an option with subjects, with wildcards or without.

    Raises:
        click.BadParameter: when one of them is not a subject.
    """
    return _all_valid(values, is_subject)


def subscriptions(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Read an option with subjects that may have a queue behind a space.

    Raises:
        click.BadParameter: when one of them is something else.
    """
    return _all_valid(values, is_subscription)


def names(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
    """Read one name or several that become parts of subjects; an absent identity is found later.

    Raises:
        click.BadParameter: when one has wildcards, blanks, empty parts or what does not print.
    """
    for name in (value,) if isinstance(value, str) else value:
        if name and not is_literal(name):
            raise click.BadParameter(f"{name!a} cannot be part of a subject: remove wildcards, spaces and empty parts")
    return value


def making(validity: str) -> Callable[[Command], Command]:
    """Add the options that every command which makes a token has.

    Args:
        validity: how long the token lasts unless asked otherwise.
    """
    options = (
        click.option("--org", default=DEFAULT_ORGANIZATION, show_default=True, help="Organization of the token."),
        click.option(
            "--validity",
            metavar="DURATION",
            callback=seconds,
            default=validity,
            show_default=True,
            help="How long the token is valid.",
        ),
        click.option("-f", "--force", is_flag=True, help="Overwrite an existing file that is not a token."),
        click.option(
            "--vault",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_refuse_vault,
            help="Not supported: tokens are signed with a key file only.",
        ),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_note_json,
            help="Print one JSON document instead of text, without the token.",
        ),
    )
    return lambda command: functools.reduce(lambda inner, option: option(inner), reversed(options), command)


def permission_options(
    permissions: Iterable[ClientPermission] | Iterable[ServerPermission], *, usual: ClientPermission | None = None
) -> Callable[[Command], Command]:
    """Add an option for each permission that a token can have.

    Args:
        permissions: every one.
        usual: the one that a token has unless asked otherwise.
    """
    options = [
        click.option(f"--{each.option}/--no-{each.option}", default=True, show_default=True, help=each.help)
        if each is usual
        else click.option(f"--{each.option}", is_flag=True, help=each.help)
        for each in permissions
    ]
    return lambda command: functools.reduce(lambda inner, option: option(inner), reversed(options), command)


def _all_valid(values: tuple[str, ...], valid: Callable[[str], bool]) -> tuple[str, ...]:
    for value in values:
        if not valid(value):
            raise click.BadParameter(f"{value!r} is not a subject: write words separated by dots, such as app.events.>")
    return values


_AS_JSON = "choria_broker.as_json"


def _note_json(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    context.meta[_AS_JSON] = wanted


def _refuse_vault(_context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        raise files.JwtError(
            "signing with Vault is not supported: use a key file as signing key, or create the token with 'choria jwt'"
        )


def save(
    file: Path, signing_key: Path, validity: int, make: Callable[[SigningKey, Birth], str], *, force: bool
) -> None:
    """Make a token, write it, and say where it is.

    Args:
        file: where it goes.
        signing_key: file of the key it is signed with.
        validity: how long it lasts, in seconds.
        make: makes the token.
        force: whether a file that is there and is not a token may be overwritten; a token always may.

    Raises:
        JwtError: when it cannot be made or written.
    """
    if not force:
        files.refuse_other_than_token(file)
    key = files.signing_key(signing_key)
    now = int(time.time())
    try:
        token = make(key, Birth(now, now + validity, secrets.token_bytes(ksuid.RANDOM_BYTES)))
    except IssuingError as error:
        raise files.JwtError(f"{file} was not created: {error}") from None
    files.write(file, token, force=True)
    told = {"file": str(file), "issued": now, "expires": now + validity}
    lines = (f"Saved token to {file}, use 'choria-broker jwt view {file}' to view it",)
    show(told, lines, as_json=click.get_current_context().meta.get(_AS_JSON, False))
