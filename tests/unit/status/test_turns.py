"""What is in another state than before is an event."""

from __future__ import annotations

import msgspec

from choria_broker.audit.events import EventBook, Wanted
from choria_broker.companions.reports import CompanionReport
from choria_broker.host.succession import Succession
from choria_broker.stats.links import Link, LinkKind
from choria_broker.status.document import Status
from choria_broker.status.streams_now import StandingReport, StreamsNow
from choria_broker.status.turns import Turns
from choria_broker.streams.report import Report, State
from support import statuses

LINK = Link(LinkKind.MEMBER, "b2", connected=True, address="192.0.2.2:5222")
STREAM = Report("choria", "CHORIA_EVENTS", State.PENDING)
STALLED = StreamsNow(None, (StandingReport("choria", "CHORIA_EVENTS", False, "no member leads", ""),))
ADAPTER = CompanionReport(kind="adapter", name="facts", state="running", sentence="adapter facts runs")
STATUS = msgspec.structs.replace(
    statuses.STATUS, links=(LINK,), streams=(STREAM,), streams_now=None, companions=(ADAPTER,)
)


def changed(**fields: object) -> Status:
    return msgspec.structs.replace(STATUS, **fields)


def test_what_is_otherwise_is_told_once() -> None:
    book, looks = EventBook(lambda: 1.0), [STATUS]
    turns = Turns(lambda: looks[-1], book)
    page = book.page(Wanted(), "b1")

    def told() -> list[tuple[str, str, str, str]]:
        nonlocal page
        turns.look()
        page = book.page(Wanted(after=page.after), "b1")
        return [(each.kind.value, each.identity, each.what, each.text) for each in page.events]

    assert told() == [
        ("link", "b2", "up", "member at 192.0.2.2:5222"),
        ("stream", "choria/CHORIA_EVENTS", "pending", ""),
        ("companion", "adapter facts", "running", "adapter facts runs"),
    ]
    assert told() == []
    looks.append(changed(links=(Link(LinkKind.MEMBER, "b2", connected=False, why="connection refused"),)))
    assert told() == [("link", "b2", "down", "member: connection refused")]
    looks.append(changed(links=(), streams=(Report("choria", "CHORIA_EVENTS", State.OK, "created"),)))
    assert told() == [("link", "b2", "gone", ""), ("stream", "choria/CHORIA_EVENTS", "ok", "created")]
    looks.append(msgspec.structs.replace(looks[-1], streams_now=STALLED))
    assert told() == [("stream", "choria/CHORIA_EVENTS", "not-writable", "no member leads")]
    left = Succession()
    turns.remember(left)
    turns = Turns(lambda: looks[-1], book)
    turns.recall(Succession.unpacked(left.packed(), descriptors=False))
    assert told() == []
    turns.recall(Succession())
    looks.append(changed(links=(Link(LinkKind.LEAFNODE, "l", connected=None),), streams=(), companions=()))
    assert told() == []
