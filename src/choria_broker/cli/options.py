"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from choria_broker.access.selection import SELECTORS, Selection
from choria_broker.access.session import KINDS
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings import durations

Command = Callable[..., Any]


class Duration(click.ParamType[float]):
    """A length of time as operators write them, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        try:
            return durations.read(str(value))
        except durations.DurationError as error:
            self.fail(f"{value!r} {error.problem}; {error.remedy}", param, ctx)


def configuration(command: Command) -> Command:
    """Add ``--config`` and the options that change how the configuration is read.

    The command gets them as ``config``, a path or None, and ``overrides``.
    """

    @functools.wraps(command)
    def told(
        *, debug: bool, disable_tls: bool, disable_ssl_verification: bool, lenient_config: bool, **others: object
    ) -> object:
        overrides = Overrides(
            debug=debug,
            disable_tls=disable_tls,
            disable_ssl_verification=disable_ssl_verification,
            lenient=lenient_config,
        )
        return command(overrides=overrides, **others)

    return functools.reduce(lambda inner, option: option(inner), _OPTIONS, told)


def _debug(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    """Take the flag before the command's name for the command's own, as the original program does."""
    return value or bool(context.find_root().params.get("debug"))


_OPTIONS = (
    click.option("--lenient-config", is_flag=True, hidden=True, help="Read invalid values as go-choria does."),
    click.option("--disable-ssl-verification", is_flag=True, hidden=True, help="Never request client certificates."),
    click.option("--disable-tls", is_flag=True, hidden=True, help="Run without TLS."),
    click.option("--debug", is_flag=True, callback=_debug, help="Log at debug level, including the engine's log."),
    # Whether the file can be read is for the configuration's own findings to say.
    click.option("--config", type=click.Path(path_type=Path, readable=False), help="Configuration file."),
)


def selectors(command: Command) -> Command:
    """Add the options that say which sessions are meant; the command gets them as ``selection``."""

    @functools.wraps(command)
    def told(*, cid: tuple[int, ...], **others: Any) -> object:
        chosen = {name: others.pop(name) or "" for name in SELECTORS}
        return command(selection=Selection(connections=cid, **chosen), **others)

    return functools.reduce(lambda inner, option: option(inner), reversed(_SELECTOR_OPTIONS), told)


_SELECTOR_OPTIONS = (
    click.option("--identity", metavar="GLOB", help="Identity; * and ? stand for any text and any character."),
    click.option("--caller", help="Caller id, such as up=bob."),
    click.option("--token", help="Token id, also that of a chain issuer."),
    click.option("--key", help="Public key of the token's holder or of a chain issuer, in hex."),
    click.option(
        "--certificate", metavar="SERIAL", help="Serial number of a certificate in hex, also of an intermediate CA."
    ),
    click.option("--issuer", help="Issuer of the certificate with this serial number."),
    click.option("--cid", type=click.IntRange(min=1), multiple=True, help="Number of a connection; can be repeated."),
    click.option("--address", help="Address of the peer, or a network such as 192.0.2.0/24."),
    click.option("--account", help="Account of the connection."),
    click.option("--kind", type=click.Choice(KINDS), help="Kind of connection."),
    click.option("--method", help="How it was recognised, such as token or mtls."),
)


def running_broker(command: Command) -> Command:
    """Add ``--config`` of a running broker, given as ``config``."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        required=True,
        help="Configuration file that the broker was started with.",
    )(command)


def as_json(command: Command) -> Command:
    """Add ``--json``, given as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(command)


def as_json_lines(command: Command) -> Command:
    """Add ``--json`` of a command that goes on and on, given as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one document a line.")(command)
