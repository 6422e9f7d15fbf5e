"""Events as messages."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from nats.aio.client import Client

from choria_broker.audit.events import Event, EventBook, EventKind, EventPage
from choria_broker.audit.publishing import MOST, EventPublisher, messages, subject
from choria_broker.errors import NotReadyError
from choria_broker.settings.network import Network


@pytest.mark.parametrize(
    ("broker", "wanted"),
    [
        ("b1.example.net", "choria.broker.event.act.b1.example.net"),
        ("a b>*", "choria.broker.event.act.a_b__"),
        ("x..y", "choria.broker.event.act.x._.y"),
    ],
)
def test_subjects_are_subjects(broker: str, wanted: str) -> None:
    assert subject("act", broker) == wanted


def test_losses_are_told_before_what_is_left() -> None:
    event = Event(number=9, time=1.0, kind=EventKind.ACT, what="reload", identity="root", facts={"why": "x"})
    page = EventPage(time=2.0, broker="b1", events=(event,), after={"act": 9}, lost={"act": 7})
    told = [(place, json.loads(payload)) for place, payload in messages(page)]
    common = {"protocol": "io.choria.broker.v1.event", "broker": "b1"}
    assert told == [
        ("choria.broker.event.loss.b1", common | {"time": 2.0, "kind": "loss", "of": "act", "lost": 7}),
        (
            "choria.broker.event.act.b1",
            common
            | {"id": "act-9", "number": 9, "time": 1.0, "kind": "act", "what": "reload", "identity": "root"}
            | {"facts": {"why": "x"}},
        ),
    ]


class Connection:
    """A connection that takes what is published, until it is cut."""

    def __init__(self) -> None:
        self.is_connected = True
        self.taken: list[str] = []
        self.flushed = asyncio.Event()
        self._transport = None

    async def publish(self, _place: str, payload: bytes) -> None:
        self.taken.append(json.loads(payload)["id"])

    async def flush(self, timeout: float) -> None:  # noqa: ASYNC109 - the library's interface
        assert timeout
        self.flushed.set()

    async def close(self) -> None:
        self.is_connected = False


async def test_nothing_is_left_out_over_failures_and_lost_connections(caplog: pytest.LogCaptureFixture) -> None:
    book, connections, failures = EventBook(lambda: 1.0), list[Connection](), 3
    for number in range(MOST + 5):
        book.tell(EventKind.ACT, "reload", str(number))

    async def connect(account: str, **_: Any) -> Client:
        nonlocal failures
        assert account == "choria"
        failures -= 1
        if failures >= 0:
            raise NotReadyError("no login")
        connections.append(Connection())
        return cast("Client", connections[-1])

    publisher = EventPublisher(book, connect, lambda: Network(publish_events=True), "b1", pace=0.01, pause=0.01)
    async with asyncio.timeout(30), publisher.publishing():
        while not connections or len(connections[0].taken) < MOST + 5:
            await asyncio.sleep(0.01)
        connections[0].is_connected = False
        book.tell(EventKind.ACT, "reload", "last")
        while len(connections) < 2 or not connections[1].taken:
            await asyncio.sleep(0.01)
    taken = [each for connection in connections for each in connection.taken]
    assert list(dict.fromkeys(taken)) == [f"act-{number}" for number in range(1, MOST + 7)]
    told = [record.__dict__["why"] for record in caplog.records if "Could not publish" in record.getMessage()]
    assert told == ["no login", "the connection to the engine has ended"]


async def test_what_happens_while_it_is_off_is_not_published() -> None:
    book, connection, on = EventBook(lambda: 1.0), Connection(), False

    async def connect(account: str, **_: Any) -> Client:
        assert account == "choria"
        return cast("Client", connection)

    publisher = EventPublisher(book, connect, lambda: Network(publish_events=on), "b1", pace=0.01)
    async with asyncio.timeout(30), publisher.publishing():
        await asyncio.sleep(0)
        book.tell(EventKind.ACT, "reload", "before")
        on = True
        publisher.apply()
        while not publisher._after:
            await asyncio.sleep(0)
        book.tell(EventKind.ACT, "reload", "after")
        await connection.flushed.wait()
    assert connection.taken == ["act-2"]
