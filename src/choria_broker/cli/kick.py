"""``choria-broker kick``: end sessions of a running broker, which may come again."""

from __future__ import annotations

from pathlib import Path

import click

from choria_broker.access.selection import Selection
from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import as_json, running_broker, selectors
from choria_broker.control.client import ask_kick
from choria_broker.sessions.words import kicked


@click.command()
@running_broker
@selectors
@click.option("--dry-run", is_flag=True, help="Only show which sessions would end.")
@as_json
def kick(*, config: Path, selection: Selection, dry_run: bool, as_json: bool) -> None:
    """End all sessions that match every given option, at once; they may reconnect.

    Exit status 0: done, also when there were none. 1: nothing was done, because no broker runs with this configuration,
    or no option was given.
    """
    with asking():
        result = ask_kick(config, selection, dry_run=dry_run)
    show(result, kicked(result), as_json=as_json)
