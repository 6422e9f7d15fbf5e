"""``choria-broker connections``: who is connected to a running broker."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from choria_broker.access.selection import Selection
from choria_broker.access.session import Session
from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import as_json, running_broker, selectors
from choria_broker.cli.progress import progress
from choria_broker.control.client import ask_connections
from choria_broker.sessions.words import SORTS, ordered, table

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
    help="Most rows to show; 0 for all.",
)
@click.option(
    "--over",
    type=click.FloatRange(min=0, max=600),
    default=0.0,
    metavar="SECONDS",
    help="Measure rates over this time; otherwise they are averages since the connection began.",
)
@as_json
def connections(*, config: Path, selection: Selection, sort: str, limit: int, over: float, as_json: bool) -> None:
    """List who is connected to a running broker: clients, websockets and leafnodes, but not the broker itself.

    Exit status 0: it answered. 1: no broker runs with this configuration, or it did not answer.
    """
    with asking():
        before, began = _all(config, selection) if over else ({}, 0.0)
        with progress(f"Measuring for {over:g} s" if over else "Asking for connections"):
            time.sleep(over)
            found, now = _all(config, selection)
    rows = ordered(tuple(found.values()), now, sort, before, now - began)
    shown = rows[: limit or None]
    document = {
        "time": now,
        "total": len(rows),
        "connections": [msgspec.to_builtins(each) | {"rates": rate} for each, rate in shown],
    }
    show(document, (*table(shown), f"{len(shown)} of {len(rows)} connections shown"), as_json=as_json)


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
