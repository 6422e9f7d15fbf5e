"""``choria-broker top``: over which connections of a running broker most goes, again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import click
import msgspec

from choria_broker.cli.answers import asking
from choria_broker.cli.options import as_json_lines, running_broker
from choria_broker.cli.screen import Key, Screen, is_terminal
from choria_broker.control.client import ask_top
from choria_broker.control.protocol import TopRequest
from choria_broker.sessions.documents import Top
from choria_broker.sessions.words import busiest, totals
from choria_broker.wording import plain

_ORDERS: tuple[str, ...] = get_args(get_type_hints(TopRequest)["by"])
_MOST = 500
_HELP = "q quits, left and right change the order, up and down scroll"


@click.command()
@running_broker
@click.option(
    "--sort",
    "by",
    type=click.Choice(_ORDERS),
    default="rate",
    show_default=True,
    help="What to sort by, largest first.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=20,
    show_default=True,
    help="Number of connections to show without a live screen.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.5, max=600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time over which rates are measured.",
)
@click.option("--once", is_flag=True, help="Measure once, print the result, and exit.")
@as_json_lines
def top(*, config: Path, by: str, limit: int, interval: float, once: bool, as_json: bool) -> None:
    """Show the busiest connections of a running broker, slow clients, and the traffic of all connections.

    On a terminal the screen is live: q quits, left and right change the order, up and down scroll. Elsewhere, and with
    --json, the command prints each interval until it is interrupted.

    Exit status 0: it ran until you ended it. 1: no broker runs with this configuration, or it did not answer, or it
    ended.
    """
    try:
        with asking():
            # Rates are those since the look before, whoever took it; so the first one is taken for what follows.
            ask_top(config, _request(by, 1))
            if as_json or once or not is_terminal():
                _printed(config, _request(by, limit), interval, once=once, as_json=as_json)
            else:
                _live(config, by, interval)
    except KeyboardInterrupt:
        raise SystemExit(0) from None


def _request(by: str, most: int) -> TopRequest:
    return msgspec.convert({"request": "top", "most": most, "by": by}, TopRequest)


def _printed(config: Path, request: TopRequest, interval: float, *, once: bool, as_json: bool) -> None:
    """Print one interval after the other."""
    while True:
        time.sleep(interval)
        found = ask_top(config, request)
        if as_json:
            click.echo(json.dumps(msgspec.to_builtins(found)))
        else:
            lines = (*totals(found), "", *busiest(found.sessions), *(() if once else ("",)))
            click.echo("\n".join(map(plain, lines)))
        if once:
            return


def _live(config: Path, by: str, interval: float) -> None:
    """Draw on the screen until somebody ends it."""
    found, first, until = None, 0, time.monotonic() + interval
    with Screen() as screen:
        while True:
            screen.draw(_screenful(found, by, first, interval, screen.height))
            key = screen.key(max(until - time.monotonic(), 0.0))
            match key:
                case Key.QUIT:
                    return
                case Key.LEFT | Key.RIGHT:
                    step = 1 if key is Key.RIGHT else -1
                    by, first, until = _ORDERS[(_ORDERS.index(by) + step) % len(_ORDERS)], 0, 0.0
                case Key.UP | Key.DOWN:
                    step = 1 if key is Key.DOWN else -1
                    first = min(max(first + step, 0), max(len(found.sessions) - 1, 0) if found else 0)
            if time.monotonic() >= until:
                found = ask_top(config, _request(by, min(first + screen.height, _MOST)))
                until = time.monotonic() + interval


def _screenful(found: Top | None, by: str, first: int, interval: float, height: int) -> Iterator[str]:
    """Write what fits on a screen, line by line."""
    yield f"choria-broker top, by {by}, every {interval:g} s: {_HELP}"
    if found is None:
        yield "Measuring ..."
        return
    head = (*totals(found), "")
    yield from head
    heading, *rows = busiest(found.sessions)
    yield heading
    yield from rows[first : first + max(height - len(head) - 2, 1)]
