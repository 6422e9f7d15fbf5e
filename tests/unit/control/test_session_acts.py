from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from choria_broker.access.selection import Selection, SelectionError
from choria_broker.access.session import Busy, BusySession, Departed, Session
from choria_broker.audit.denials import Noted
from choria_broker.audit.events import EventBook, EventKind, EventPage, Wanted
from choria_broker.control.event_acts import event_acts
from choria_broker.control.protocol import ConnectionsRequest, EventsRequest, FindRequest, KickRequest, TopRequest
from choria_broker.control.session_acts import session_acts
from choria_broker.errors import BrokerError, NotReadyError
from choria_broker.sessions.desk import PAGE, Known, SessionDesk
from choria_broker.sessions.documents import Found, Kicked, Page, SlowReceiver, Top
from choria_broker.stats.readings import Server
from support.sessions import session

PEER = "root (uid 0)"


async def who() -> str:
    return PEER


class Engine:
    """An engine with many sessions."""

    since = 1.0

    def __init__(self, many: int = 3, name: str = "user") -> None:
        self.many, self.name = many, name
        self.failing = False
        self.ended: list[tuple[list[int], str]] = []
        self.alive = True

    async def sessions(self, *, traffic: bool = False) -> tuple[Session, ...]:
        del traffic
        if not self.alive:
            raise NotReadyError("the engine is not running")
        return tuple(
            session(number, address="", account=f"a{number % 2}", username=f"{self.name}{number}", tls="none")
            for number in range(1, self.many + 1)
        )

    async def busiest(self, most: int, by: str) -> tuple[tuple[BusySession, ...], Busy]:
        assert by == "rate"
        busy = tuple(BusySession(**msgspec.structs.asdict(each)) for each in await self.sessions())
        return busy[:most], Busy(connections=len(busy))

    async def departed(self) -> tuple[Departed, ...]:
        return ()

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        if self.failing:
            raise NotReadyError("not in time")
        self.ended.append((list(connections), reason))
        return len(self.ended[-1][0])


class Finder:
    async def find(self, text: str) -> Found:
        return Found(text, whole=True, limit="", brokers=())


async def asked(engine: Engine, request: object) -> object:
    desk = SessionDesk(engine, Known(tuple), "broker1", clock=lambda: 5.0)
    return await session_acts(desk, Finder())[type(request)](request, who)


async def test_connections_come_in_pages() -> None:
    engine = Engine(PAGE + 2)
    page = await asked(engine, ConnectionsRequest())
    assert isinstance(page, Page)
    assert (len(page.sessions), page.more, page.time) == (PAGE, True, 5.0)
    rest = await asked(engine, ConnectionsRequest(after=page.sessions[-1].connection))
    assert isinstance(rest, Page)
    assert ([each.connection for each in rest.sessions], rest.more) == ([PAGE + 1, PAGE + 2], False)


async def test_a_page_is_not_larger_than_an_answer_may_be() -> None:
    engine = Engine(100, name="x" * 100_000)
    page = await asked(engine, ConnectionsRequest())
    assert isinstance(page, Page)
    assert (0 < len(page.sessions) < 40, page.more) == (True, True)


async def test_the_busiest_come_with_who_was_too_slow() -> None:
    complaints = (
        Noted("publish", "up=bob", "x", "", 1, 1, 2.0),
        Noted("slow", "web1", "a.b", "9 bytes waited: too many", 3, 4, 5.0),
    )
    known = Known(tuple, lambda: complaints, lambda: Server(slow_consumers=4, subscriptions=9, memory=10))
    told = await SessionDesk(Engine(), known, "broker1", clock=lambda: 5.0).top(2, "rate")
    late = SlowReceiver("web1", 3, 4, 5.0, "slow consumer, 9 bytes waited: too many, most of them for a.b")
    assert (told.slow, told.slow_consumers, told.subscriptions, told.memory) == ((late,), 4, 9, 10)
    assert ([each.connection for each in told.sessions], told.busy.connections) == ([1, 2], 3)
    unread = await asked(Engine(), TopRequest())
    assert isinstance(unread, Top)
    assert (unread.slow_consumers, unread.slow) == (0, ())


async def test_a_kick_that_fails_is_written_down(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    engine = Engine()
    engine.failing = True
    with pytest.raises(NotReadyError, match="not in time"):
        await asked(engine, KickRequest(Selection(account="a1")))
    assert "An operator acted" in caplog.text


async def test_a_kick_hits_whom_it_names() -> None:
    engine = Engine()
    dry = await asked(engine, KickRequest(Selection(account="a1"), dry_run=True))
    assert isinstance(dry, Kicked)
    assert (dry.matched, dry.ended, engine.ended) == (2, 0, [])
    done = await asked(engine, KickRequest(Selection(account="a1")))
    assert isinstance(done, Kicked)
    assert (done.matched, done.ended) == (2, 2)
    assert engine.ended == [([1, 3], f"kicked by {PEER}")]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (KickRequest(Selection()), "give an option that says whose sessions to end"),
        (KickRequest(Selection(address="x")), "an IP address or a network"),
        (ConnectionsRequest(Selection(certificate="x")), "serial number"),
    ],
)
async def test_what_cannot_be_done_is_said(request_: object, problem: str) -> None:
    engine = Engine()
    with pytest.raises((BrokerError, SelectionError), match=problem):
        await asked(engine, request_)
    assert engine.ended == []


async def test_without_an_engine_nobody_is_known() -> None:
    engine = Engine()
    engine.alive = False
    with pytest.raises(NotReadyError, match="not running"):
        await asked(engine, ConnectionsRequest())
    assert isinstance(await asked(engine, FindRequest("x")), Found)


async def test_events_are_told_of_this_broker() -> None:
    book = EventBook(lambda: 5.0)
    book.tell(EventKind.ACT, "reload", "root")
    page = await event_acts(book, "b1")[EventsRequest](EventsRequest(Wanted(since=0.0)), who)
    assert isinstance(page, EventPage)
    assert (page.broker, [each.what for each in page.events]) == ("b1", ["reload"])
