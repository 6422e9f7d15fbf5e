"""Choria Streams: what was wished beside what is there, and when the store is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from choria_broker.settings import durations
from choria_broker.settings.streams import StandardStream
from choria_broker.stats.history import Drawn
from choria_broker.stats.standings import CopyState, Standing, Standings
from choria_broker.status.document import Status, StoreReport, StreamTrouble
from choria_broker.status.growth import Growth, growth_of
from choria_broker.status.streams_now import StandingReport, in_words, standing_report
from choria_broker.streams.report import Report, State
from choria_broker.ui.graphs import STORE, Graph, graphs
from choria_broker.ui.page import Asked, Group, Knowledge, Page

MOST = 200
"""Streams of others that are listed."""

_MEASURED = 300.0
"""Seconds that growth has to be seen before it says anything of days."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is made of."""

    status: Status
    drawn: Drawn
    standings: Standings | None
    standard: tuple[StandardStream, ...]


class Marked(msgspec.Struct, frozen=True):
    """Something in words.

    Attributes:
        condition: ``ok``, ``degraded`` or ``failing``; empty where it is neither.
        word: marked with it.
        more: what else there is to say.
    """

    condition: str
    word: str
    more: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A standard stream.

    Attributes:
        account, stream: which one.
        wish: what it is to be, in words.
        set_up: what came of setting it up, in words, and how that is marked; no mark for one that is left alone.
        reason: why it is not as it should be; empty when it is.
        found: how it is now, in words, and how that is marked.
        held: what is there; None where this broker has no copy, or has not read it yet.
    """

    account: str
    stream: str
    wish: str
    set_up: Marked
    reason: str
    found: Marked
    held: StandingReport | None


class StreamsView(msgspec.Struct, frozen=True, kw_only=True):
    """All streams.

    Attributes:
        on: the broker has streams.
        rows: the standard streams.
        meta: what the cluster knows of streams; None for a broker that is alone.
        others: other streams with a copy here, those in trouble first.
        left_out: how many more there are.
        store: what is held; None before that was read.
        growth: how fast the store fills; None as long as that is not known.
        graphs: the store in the last hour.
        troubles: what was wrong with the store, the latest first.
    """

    on: bool
    rows: tuple[Row, ...]
    meta: StandingReport | None
    others: tuple[StandingReport, ...]
    left_out: int
    store: StoreReport | None
    growth: Growth | None
    graphs: tuple[Graph, ...]
    troubles: tuple[StreamTrouble, ...]


def view(facts: Facts, _asked: Asked) -> StreamsView:
    """Make the page."""
    status = facts.status
    standard = {(each.account, each.stream) for each in status.streams}
    others = _others(facts.standings, standard)
    growth = growth_of(status.store, facts.drawn.times, facts.drawn.of("store"))
    return StreamsView(
        on=bool(status.streams) or status.store is not None,
        rows=tuple(_rows(status, facts.standard)),
        meta=status.streams_now.meta if status.streams_now else None,
        others=tuple(map(standing_report, others[:MOST])),
        left_out=max(len(others) - MOST, 0),
        store=status.store,
        growth=growth if growth and growth.seconds >= _MEASURED else None,
        graphs=graphs(facts.drawn, (STORE,)),
        troubles=tuple(reversed(status.stream_troubles)),
    )


def document(found: StreamsView) -> dict[str, object]:
    """Tell programs what they want to know."""
    return {
        "standard": found.rows,
        "meta": found.meta,
        "others": found.others,
        "left_out": found.left_out,
        "store": found.store,
        "growth": found.growth,
        "troubles": found.troubles,
    }


def _rows(status: Status, standard: Sequence[StandardStream]) -> Iterator[Row]:
    now = status.streams_now
    standings = {(each.account, each.stream): each for each in now.standard} if now else {}
    wishes = {each.name: each for each in standard}
    for each in status.streams:
        held, wish = standings.get((each.account, each.stream)), wishes.get(each.stream)
        yield Row(
            account=each.account,
            stream=each.stream,
            wish=_wish(each, wish),
            set_up=Marked(_SET_UP.get(each.state, "degraded"), each.outcome or each.state.replace("-", " ")),
            reason=each.reason,
            found=_found(held),
            held=held,
        )


def _wish(report: Report, wish: StandardStream | None) -> str:
    """Tell in words what a stream is to be."""
    if report.state is State.NOT_MANAGED or wish is None:
        return "left alone"
    copies = f", {report.replicas} copies" if report.replicas > 1 else ", one copy" if report.replicas else ""
    return f"keeps {wish.keeps} for {durations.in_words(wish.retention)}{copies}"


_SET_UP = {State.OK: "ok", State.FAILED: "failing", State.NOT_MANAGED: ""}


def _found(held: StandingReport | None) -> Marked:
    if held is None:
        return Marked("", "no copy here, or not read yet")
    word, _, more = in_words(held).partition(", " if held.writable else ": ")
    if not held.writable:
        return Marked("failing", word, more)
    late = any(each.state != CopyState.IN_STEP for each in held.copies)
    return Marked("degraded" if late else "ok", f"{word}, a copy is late" if late else word, more)


def _others(standings: Standings | None, standard: set[tuple[str, str]]) -> list[Standing]:
    found = [each for each in standings.streams if (each.account, each.stream) not in standard] if standings else []
    return sorted(found, key=lambda each: (not each.obstacle, each.account, each.stream))


async def _facts(known: Knowledge, _asked: Asked) -> Facts:
    return Facts(
        status=known.status(),
        drawn=known.history(),
        standings=known.standings(),
        standard=known.settings().network.streams.standard,
    )


PAGE = Page(
    name="streams",
    title="Streams",
    group=Group.NETWORK,
    place=20,
    facts=_facts,
    view=view,
    document=document,
    refresh=10,
)
