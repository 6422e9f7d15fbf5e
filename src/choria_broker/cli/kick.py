"""``choria-broker kick``: end sessions of a running broker, which may come again."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from choria_broker.access.selection import Selection
from choria_broker.cli.options import running_broker, selectors
from choria_broker.control.client import ControlError, ask_kick
from choria_broker.sessions.words import kicked
from choria_broker.wording import plain


@click.command()
@running_broker
@selectors
@click.option("--dry-run", is_flag=True, help="Only tell whom it would hit.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def kick(*, config: Path, selection: Selection, dry_run: bool, as_json: bool) -> None:
    """End the sessions that all given options fit, at once; they may come again.

    Exit status 0: done, also when there was nobody. 1: nothing was done, since no broker runs on the configuration, or
    nobody was named.
    """
    try:
        result = ask_kick(config, selection, dry_run=dry_run)
    except ControlError as error:
        click.echo(plain(str(error)), err=True)
        raise SystemExit(1) from error
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(result), indent=2))
    else:
        click.echo("\n".join(map(plain, kicked(result))))
