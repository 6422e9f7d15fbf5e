"""``choria-broker find``: where somebody is, or was."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from choria_broker.cli.options import running_broker
from choria_broker.control.client import ControlError, ask_find
from choria_broker.sessions.words import found
from choria_broker.wording import plain


@click.command()
@click.argument("text")
@running_broker
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def find(*, text: str, config: Path, as_json: bool) -> None:
    """Tell where somebody is: connected, gone lately, refused lately, or not seen since the broker started.

    TEXT is part of an identity, a caller id, an address, a user name, a token id, a key, or the name, serial number or
    fingerprint of a certificate; or the whole number of a connection. With a system user all members of the cluster are
    asked.

    Exit status 0: somebody was found. 1: no broker runs on the configuration, or it did not answer. 3: nobody was seen.
    """
    if not 0 < len(text) <= _LONGEST:
        raise click.UsageError(f"TEXT has 1 to {_LONGEST} characters")
    try:
        result = ask_find(config, text)
    except ControlError as error:
        click.echo(plain(str(error)), err=True)
        raise SystemExit(1) from error
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(result), indent=2))
    else:
        click.echo("\n".join(map(plain, found(result))))
    if all(each.nothing for each in result.brokers):
        raise SystemExit(3)


_LONGEST = 256
