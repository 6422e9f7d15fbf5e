"""``choria-broker streams``: how Choria Streams are on a running broker, and when their store is full."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from choria_broker.cli.answers import asking, fail, show
from choria_broker.cli.options import as_json
from choria_broker.cli.progress import progress
from choria_broker.cli.stream_contents import contents
from choria_broker.cli.stream_purge import purge
from choria_broker.control.client import ask_status
from choria_broker.status.document import Status, StoreReport, StreamTrouble
from choria_broker.status.growth import Growth, growth
from choria_broker.status.streams_now import StreamsNow, in_words
from choria_broker.streams.report import Report
from choria_broker.wording import in_bytes, table

_TROUBLE = 3
_SHORTEST, _LONGEST = 20, 3600


class Streams(msgspec.Struct, frozen=True):
    """What is shown.

    Attributes:
        streams: what became of the standard streams when they were set up.
        now: how streams are now; None before that was read.
        store: what they hold; None before that was read.
        troubles: what was wrong with the store since the start.
        growth: how fast the store fills; None when that was not measured.
    """

    streams: tuple[Report, ...]
    now: StreamsNow | None
    store: StoreReport | None
    troubles: tuple[StreamTrouble, ...]
    growth: Growth | None = None

    @property
    def well(self) -> bool:
        """All streams can be written, as far as this broker knows, and are set up."""
        now = self.now
        stalled = now and (now.others_not_writable or not all(each.writable for each in now.standard))
        meta = now.meta if now else None
        return not stalled and (meta is None or meta.writable) and not any(each.reason for each in self.streams)


@click.group(invoke_without_command=True)
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file that the broker was started with.")
@click.option(
    "--over",
    type=click.IntRange(_SHORTEST, _LONGEST),
    metavar="SECONDS",
    help="Measure over this time how fast the store fills; 20 to 3600.",
)
@as_json
@click.pass_context
def streams(context: click.Context, *, config: Path | None, over: int | None, as_json: bool) -> None:
    """Show the state of Choria Streams on a running broker: each standard stream, its copies, and the store.

    The subcommands show what fills a stream, and delete messages. Of the options before a subcommand, only --config
    applies to it.

    Exit status 0: all can be written. 3: one cannot, or was not set up. 1: no broker runs with this configuration, or
    it did not answer, or it has no streams.
    """
    if context.invoked_subcommand is not None:
        context.default_map = {context.invoked_subcommand: {"config": config} if config else {}}
        return
    if config is None:
        raise click.MissingParameter(ctx=context, param_type="option", param_hint="'--config'")
    with asking():
        before = ask_status(config)
        if not before.streams and before.store is None:
            fail("Choria Streams are off on this broker; plugin.choria.network.stream.store turns them on")
        after = before
        if over:
            with progress(f"Measuring for {over} s"):
                time.sleep(over)
            after = ask_status(config)
    found = _found(after, growth(before.store, after.store, over) if over else None)
    show(found, _text(found), as_json=as_json)
    raise SystemExit(0 if found.well else _TROUBLE)


streams.add_command(contents)
streams.add_command(purge)


def _found(status: Status, growth: Growth | None) -> Streams:
    return Streams(status.streams, status.streams_now, status.store, status.stream_troubles, growth)


def _text(found: Streams) -> Iterator[str]:
    standings = {(each.account, each.stream): each for each in found.now.standard} if found.now else {}
    rows = []
    for report in found.streams:
        standing = standings.get((report.account, report.stream))
        now = in_words(standing) if standing else "no copy here, or not read yet"
        state = f"{report.state}: {report.reason}" if report.reason else report.outcome or report.state
        rows.append((report.account, report.stream, state, now))
    if rows:
        yield from table((("ACCOUNT", "STREAM", "SET UP", "NOW"), *rows))
    if found.now:
        yield from _cluster(found.now)
    if found.store:
        yield from _store(found.store, found.growth)
    for trouble in found.troubles:
        times = "once" if trouble.times == 1 else f"{trouble.times} times"
        yield f"Problem, {times} since the start: {trouble.words}. Remedy: {trouble.remedy}"


def _cluster(now: StreamsNow) -> Iterator[str]:
    if now.meta:
        yield f"Streams of the cluster: {now.meta.obstacle or f'leader {now.meta.leader}'}"
    if now.others:
        count = now.others_not_writable
        trouble = f", {count} not writable: {now.worst}" if now.worst else ", all healthy"
        yield f"Other streams: {now.others}{trouble}"


def _store(store: StoreReport, growth: Growth | None) -> Iterator[str]:
    if not store.enabled:
        yield "The engine has turned streams off; choria-broker status says why."
        return
    free = "" if store.bytes_free is None else f", {in_bytes(store.bytes_free)} left on its disk"
    yield f"Store {store.path}: {in_bytes(store.bytes_used)} used of at most {in_bytes(store.bytes_most)}{free}"
    yield f"In it: {store.streams} streams, {store.messages} messages, {store.consumers} consumers"
    if growth is None:
        return
    if growth.bytes <= 0:
        yield f"The store did not grow in {growth.seconds:.0f} s."
        return
    until = "" if growth.days_until_full is None else f"; at that rate it is full in {growth.days_until_full:g} days"
    yield f"The store grew by {in_bytes(growth.bytes)} in {growth.seconds:.0f} s{until}."
