"""``choria-broker explain``: what happens to a connection, and why."""

from __future__ import annotations

import contextlib
import ipaddress
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Never

import click

from choria_broker.access.request import ConnectionKind, TlsState
from choria_broker.audit.denials import Noted
from choria_broker.cli.answers import print_json
from choria_broker.cli.check import show_findings
from choria_broker.cli.explanation import text
from choria_broker.cli.options import as_json, configuration
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control.client import ControlError, ask_decision, ask_status
from choria_broker.explaining.description import (
    LOOPBACK,
    Description,
    DescriptionError,
    Judge,
    Names,
    subjects_of,
)
from choria_broker.explaining.explanation import Explanation, Subjects, document, of_decision
from choria_broker.settings.broker import Settings
from choria_broker.wording import plain

_LARGEST_INPUT = 1024 * 1024
_JSON_START = "ey"  # base64url of a JSON object that has a member
_TOKEN_DOTS = 2
_DESCRIBING = ("certificate", "token", "address", "user", "password_stdin", "tls", "kind", "nonce_proof")


def _address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Take an IP address, the only kind of address a connection is known by."""
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an IP address") from None


@click.command()
@configuration
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM certificate the program presents.")
@click.option("--token", help="Token the program presents: a file, the token itself, or - for standard input.")
@click.option("--address", default="", callback=_address, help=f"Address it connects from; default {LOOPBACK}.")
@click.option("--user", default="", help="User it sends.")
@click.option("--password-stdin", is_flag=True, help="Read the password it sends from standard input.")
@click.option(
    "--tls",
    type=click.Choice([state.value for state in TlsState]),
    help="State of TLS; default: what follows from the other options.",
)
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ConnectionKind]),
    default=ConnectionKind.CLIENT.value,
    show_default=True,
    help="Kind of connection.",
)
@click.option(
    "--nonce-proof",
    type=click.Choice(["assume", "missing"]),
    default="assume",
    show_default=True,
    help="Whether it proves that it has the token's private key.",
)
@click.option(
    "--connection",
    type=int,
    metavar="ID",
    help="ID (cid) of a recent connection to ask the running broker about, instead of describing one.",
)
@click.option("--publish", multiple=True, metavar="SUBJECT", help="Ask whether it may publish to a subject.")
@click.option("--subscribe", multiple=True, metavar="SUBJECT", help="Ask whether it may subscribe to a subject.")
@as_json
def explain(  # noqa: PLR0913 - one parameter per option
    *,
    config: Path | None,
    overrides: Overrides,
    certificate: Path | None,
    token: str | None,
    address: str,
    user: str,
    password_stdin: bool,
    tls: str | None,
    kind: str,
    nonce_proof: str,
    connection: int | None,
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    as_json: bool,
) -> None:
    """Explain what the broker would decide about a connection, or what it decided.

    Without --connection nothing is sent over the network: the answer comes only from the configuration file.

    Exit status 0: the connection is accepted and may use all subjects that you ask about. 1: it is refused, or may not
    use one of them. 2: the options contradict each other, or something could not be read.
    """
    if config is None:
        raise click.UsageError("configuration file required")
    if token == "-" and password_stdin:  # noqa: S105 - the name of standard input
        raise click.UsageError("--token - and --password-stdin both read standard input; put the token in a file")
    with _in_words():
        subjects = subjects_of(publish, subscribe, Names())
    if connection is not None:
        _only_connection()
        _end(_decided_by_broker(config, connection, subjects), as_json=as_json)
    described = Description(
        kind=ConnectionKind(kind),
        tls=TlsState(tls) if tls else None,
        address=address,
        user=user,
        password=_standard_input("--password-stdin").partition("\n")[0].removesuffix("\r") if password_stdin else "",
        token=_token(token) if token is not None else "",
        certificate=_read(certificate, "--certificate") if certificate else None,
        proven=nonce_proof == "assume",
    )
    settings = _settings(config, overrides)
    with _in_words():
        _end(Judge(settings, _authorities(settings)).explain(described, subjects, time.time()), as_json=as_json)


def _end(explanation: Explanation, *, as_json: bool) -> Never:
    """Print an explanation and end the command."""
    if as_json:
        print_json(document(explanation))
    else:
        click.echo("\n".join(text(explanation)))
    raise SystemExit(0 if explanation.allowed else 1)


def _only_connection() -> None:
    """Refuse a description beside the number of a connection: one of them would be ignored."""
    context = click.get_current_context()
    for name in _DESCRIBING:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--connection cannot be used with --{name.replace('_', '-')}")


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Tell of a description that makes no sense as of any other wrong use."""
    try:
        yield
    except DescriptionError as error:
        raise click.UsageError(str(error)) from error


def _decided_by_broker(config: Path, connection: int, subjects: Subjects) -> Explanation:
    try:
        decision = ask_decision(config, connection)
    except ControlError as error:
        raise click.UsageError(plain(str(error))) from error
    return of_decision(decision, subjects, _denied(config) if decision.allowed else ())


def _denied(config: Path) -> tuple[Noted, ...]:
    """Ask what connections were denied; nothing when the broker does not say."""
    try:
        return ask_status(config).denied
    except ControlError:
        return ()


def _authorities(settings: Settings) -> bytes:
    """Read the broker's CA file; empty without one."""
    ca = settings.tls.files.ca if settings.tls.files else None
    return _read(ca, "the broker's CA file") if ca else b""


def _settings(config: Path, overrides: Overrides) -> Settings:
    loaded = load(config, overrides)
    if loaded.settings is None:
        show_findings(loaded.findings)
        raise click.UsageError(f"{config} does not describe a broker that would start, see above")
    return loaded.settings


def _token(given: str) -> str:
    """Read a token, which is given as itself, as a file, or as ``-`` for standard input."""
    if given == "-":
        return _standard_input("--token")
    if given.startswith(_JSON_START) and given.count(".") == _TOKEN_DOTS:
        return given
    try:
        return _read(Path(given), "--token").decode()
    except UnicodeDecodeError as error:
        raise click.UsageError("--token: the file is not text") from error


def _standard_input(option: str) -> str:
    try:
        given = sys.stdin.buffer.read(_LARGEST_INPUT + 1).decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{option}: standard input is not text") from error
    if len(given) > _LARGEST_INPUT:
        raise click.UsageError(f"{option}: standard input is larger than 1 MiB")
    return given


def _read(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_INPUT + 1)
    except (OSError, ValueError) as error:
        # A token with a mistake in it may have been taken for a name: it must not be repeated.
        reason = (getattr(error, "strerror", "") or "not a file name").lower()
        raise click.UsageError(f"{where}: cannot be read: {reason}") from None
    if len(content) > _LARGEST_INPUT:
        raise click.UsageError(f"{where}: larger than 1 MiB")
    return content
