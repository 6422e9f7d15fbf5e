"""``choria-broker connections``: who is connected to a running broker."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import msgspec

from choria_broker.access.selection import Selection
from choria_broker.access.session import Session
from choria_broker.cli.options import running_broker, selectors
from choria_broker.control.client import ControlError, ask_connections
from choria_broker.sessions.words import SORTS, ordered, table
from choria_broker.wording import plain

_LIMIT = 100


@click.command()
@running_broker
@selectors
@click.option("--sort", type=click.Choice(tuple(SORTS)), default="cid", show_default=True, help="What to sort by.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=_LIMIT,
    show_default=True,
    help="Most to show; 0 for all.",
)
@click.option(
    "--over",
    type=click.FloatRange(min=0, max=600),
    default=0.0,
    metavar="SECONDS",
    help="Measure rates over this time; otherwise they are averages since the connection was made.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def connections(*, config: Path, selection: Selection, sort: str, limit: int, over: float, as_json: bool) -> None:
    """List who is connected to a running broker: clients, websockets and leafnodes, but not the broker itself.

    Exit status 0: it answered. 1: no broker runs on the configuration, or it did not answer.
    """
    try:
        before, began = _all(config, selection) if over else ({}, 0.0)
        time.sleep(over)
        found, now = _all(config, selection)
    except ControlError as error:
        click.echo(plain(str(error)), err=True)
        raise SystemExit(1) from error
    rows = ordered(tuple(found.values()), now, sort, before, now - began)
    shown = rows[: limit or None]
    if as_json:
        document = {
            "time": now,
            "total": len(rows),
            "connections": [msgspec.to_builtins(each) | {"rates": msgspec.to_builtins(rate)} for each, rate in shown],
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo("\n".join(map(plain, table(shown))))
    click.echo(f"{len(shown)} of {len(rows)} connections shown")


def _all(config: Path, selection: Selection) -> tuple[dict[int, Session], float]:
    """Ask for all of them, page by page, and when that was."""
    found: dict[int, Session] = {}
    page = ask_connections(config, selection)
    began = page.time
    found |= {each.connection: each for each in page.sessions}
    while page.more:
        page = ask_connections(config, selection, page.sessions[-1].connection)
        found |= {each.connection: each for each in page.sessions}
    return found, began
