"""``choria-broker streams contents``: who fills streams, how fast, and when they are full."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.cli.progress import progress
from choria_broker.cli.stream_names import checked
from choria_broker.control.client import ask_contents, ask_status
from choria_broker.control.protocol import ContentsRequest
from choria_broker.settings import durations
from choria_broker.status.document import StoreReport
from choria_broker.status.words import moment
from choria_broker.streams.contents import Contents, Outlook, SubjectShare, outlook
from choria_broker.wording import in_bytes


class Filled(msgspec.Struct, frozen=True):
    """What is shown of a stream.

    Attributes:
        contents: what is in it.
        outlook: how it goes on.
    """

    contents: Contents
    outlook: Outlook


@click.command()
@click.argument("stream", required=False, default="")
@running_broker
@click.option("--account", default="", help="Account of the stream; default all.")
@click.option(
    "--over",
    type=click.IntRange(1, 3600),
    metavar="SECONDS",
    help="Measure rates over this time; otherwise the rates since the oldest message.",
)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Most subjects to show of each stream."
)
@as_json
def contents(*, stream: str, config: Path, account: str, over: int | None, limit: int, as_json: bool) -> None:
    """Show what fills streams: subjects with their share, how fast messages arrive, and when a stream is full.

    STREAM is one stream; without it all are shown.

    Exit status 0: it answered. 1: no broker runs with this configuration, or it did not answer, or there is no such
    stream.
    """
    request = ContentsRequest(account, checked(stream) if stream else "", limit)
    with asking():
        before: dict[tuple[str, str], Contents] = {}
        if over:
            before = {(each.account, each.stream): each for each in ask_contents(config, request)}
            with progress(f"Measuring for {over} s"):
                time.sleep(over)
        with progress("Asking for subjects"):
            found = ask_contents(config, request)
        room = _room(ask_status(config).store)
    shown = tuple(
        Filled(each, outlook(each, room, before.get((each.account, each.stream)), over or 0.0)) for each in found
    )
    show(shown, _text(shown), as_json=as_json)


def _room(store: StoreReport | None) -> int | None:
    if store is None:
        return None
    rooms = [store.bytes_most - store.bytes_used] if store.bytes_most else []
    rooms += [store.bytes_free] if store.bytes_free is not None else []
    return max(min(rooms), 0) if rooms else None


def _text(shown: tuple[Filled, ...]) -> Iterator[str]:
    if not shown:
        yield "There are no streams."
    for number, each in enumerate(shown):
        if number:
            yield ""
        yield from _stream(each.contents, each.outlook)


def _stream(found: Contents, ahead: Outlook) -> Iterator[str]:
    kept = f"kept for {durations.in_go(found.max_age)}" if found.max_age else "kept forever"
    yield (
        f"{found.account} {found.stream}: {found.messages} messages, {in_bytes(found.bytes)}, "
        f"{found.subjects} subjects, {kept}"
    )
    if found.first is None or found.last is None:
        return
    yield f"  from {moment(found.first)} to {moment(found.last)}"
    full = "never full at that rate" if ahead.days_until_full is None else f"full in {ahead.days_until_full:g} days"
    yield f"  {ahead.messages_per_second:g} messages/s, {in_bytes(ahead.bytes_per_second)}/s; {full}"
    yield from subjects(found.filling, found.others)


def subjects(filling: tuple[SubjectShare, ...], others: int) -> Iterator[str]:
    """Write the subjects of a stream by their share, line by line."""
    widest = max((len(str(each.messages)) for each in filling), default=0)
    for each in filling:
        yield f"  {each.share:6.1%}  {each.messages:>{widest}}  {each.subject}"
    if others:
        yield f"  and {others} messages of other subjects"
