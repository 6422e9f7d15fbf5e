"""``choria-broker status``: how a running broker is."""

from __future__ import annotations

from pathlib import Path

import click

from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.control.client import ask_status
from choria_broker.status.lines import lines


@click.command()
@running_broker
@as_json
def status(*, config: Path, as_json: bool) -> None:
    """Show the status of a running broker.

    Exit status 0: it answered. 1: no broker runs with this configuration, or it did not answer.
    """
    with asking():
        found = ask_status(config)
    show(found, lines(found), as_json=as_json)
