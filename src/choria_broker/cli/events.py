"""``choria-broker events``: what happens to a running broker, one line for each event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from choria_broker.audit.events import EventKind, EventPage, Wanted, in_words
from choria_broker.cli.answers import asking
from choria_broker.cli.options import Duration, as_json_lines, running_broker
from choria_broker.control.client import ask_events
from choria_broker.status.words import moment

_PACE = 0.5
_LOSS = "loss"


@click.command()
@running_broker
@click.option(
    "--kind",
    "kinds",
    type=click.Choice([each.value for each in EventKind]),
    multiple=True,
    help="Only events of this kind; can be repeated.",
)
@click.option(
    "--identity",
    metavar="GLOB",
    default="",
    help="Only events whose identity or address matches; * and ? as in file names.",
)
@click.option(
    "--since", type=Duration(), help="Begin with the events of this time, as far as the broker remembers them."
)
@click.option(
    "--no-follow",
    is_flag=True,
    help="Stop after the events that the broker remembers; all of them, unless --since is given.",
)
@as_json_lines
def events(
    *, config: Path, kinds: tuple[str, ...], identity: str, since: float | None, no_follow: bool, as_json: bool
) -> None:
    """Show what happens on a running broker: decisions, ended sessions, links, streams, health, acts of operators.

    The command runs until it is interrupted. The broker remembers the latest events of each kind. Events that it forgot
    before they could be shown are shown as one event of kind loss, with their number.

    Exit status 0: it ran until you ended it, or to the last event. 1: no broker runs with this configuration, or it did
    not answer, or it ended.
    """
    start = None if since is None else time.time() - since
    if no_follow and start is None:
        start = 0.0
    wanted = Wanted(kinds=tuple(map(EventKind, kinds)), identity=identity, since=start)
    try:
        with asking():
            _followed(config, wanted, follow=not no_follow, as_json=as_json)
    except KeyboardInterrupt:
        raise SystemExit(0) from None


def _followed(config: Path, wanted: Wanted, *, follow: bool, as_json: bool) -> None:
    while True:
        page = ask_events(config, wanted)
        lines = tuple(_documents(page) if as_json else _text(page))
        if lines:
            click.echo("\n".join(lines))
        if not page.more:
            if not follow:
                return
            time.sleep(_PACE)
        wanted = msgspec.structs.replace(wanted, after=page.after)


def _documents(page: EventPage) -> Iterator[str]:
    for kind, count in page.lost.items():
        yield json.dumps({"time": page.time, "broker": page.broker, "kind": _LOSS, "of": kind, "lost": count})
    for event in page.events:
        yield json.dumps({"broker": page.broker, **msgspec.to_builtins(event)})


def _text(page: EventPage) -> Iterator[str]:
    for kind, count in page.lost.items():
        yield f"{moment(page.time)} {_LOSS} {count} events of kind {kind} were forgotten before they could be shown"
    for event in page.events:
        yield in_words(event, moment)
