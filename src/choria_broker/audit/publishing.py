"""Publishes events as messages, over a connection of the broker's own, for who keeps or follows them in NATS.

At a bounded rate, and only what the book remembers: events wait there, and what is forgotten before its turn is counted
and published as a loss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from choria_broker.audit.events import EventBook, EventPage, Wanted
from choria_broker.background import beside, happened
from choria_broker.client_end import client_errors, let_go
from choria_broker.errors import BrokerError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.patterns import expression
from choria_broker.settings.accounts import CHORIA_ACCOUNT
from choria_broker.settings.network import Network

if TYPE_CHECKING:
    from nats.aio.client import Client

PROTOCOL = "io.choria.broker.v1.event"
"""What each message says it is."""

SUBJECT = "choria.broker.event"
"""What subjects begin with; kind and identity of the broker follow."""

PACE = 0.5
MOST = 50
"""Events that are published at once, each pace."""

_FLUSH = 5.0
_LEFT = "events published"
_NO_PART = expression(r"[^A-Za-z0-9_-]")
_UNREACHABLE = (BrokerError, OSError, TimeoutError)


class Connect(Protocol):
    """Connects to an account of the own broker."""

    def __call__(self, account: str, **options: Any) -> Awaitable[Client]:
        """Connect to an account, by its name."""
        ...


def subject(kind: str, broker: str) -> str:
    """Name the subject of an event.

    Args:
        kind: of the event.
        broker: identity of the broker.
    """
    parts = (_NO_PART.sub("_", part) or "_" for part in broker.split("."))
    return ".".join((SUBJECT, kind, *parts))


def messages(page: EventPage) -> Iterator[tuple[str, bytes]]:
    """Write events, and losses before them, as messages: subject and payload."""
    common = {"protocol": PROTOCOL, "broker": page.broker}
    for kind, count in page.lost.items():
        told = {**common, "time": page.time, "kind": "loss", "of": kind, "lost": count}
        yield subject("loss", page.broker), msgspec.json.encode(told)
    for event in page.events:
        told = {**common, "id": f"{event.kind.value}-{event.number}", **msgspec.to_builtins(event)}
        yield subject(event.kind.value, page.broker), msgspec.json.encode(told)


class EventPublisher:
    """Publishes events as long as a setting says so.

    Args:
        book: remembers them.
        connect: connects to an account.
        network: tells the settings in force, which say whether they are to be published.
        broker: identity of the broker.
        pace: seconds between two looks.
        pause: seconds to wait after a failed attempt to connect.
    """

    def __init__(
        self,
        book: EventBook,
        connect: Connect,
        network: Callable[[], Network],
        broker: str,
        *,
        pace: float = PACE,
        pause: float = 5.0,
    ) -> None:
        """Nothing was published yet."""
        self._book = book
        self._connect = connect
        self._network = network
        self._broker = broker
        self._pace = pace
        self._pause = pause
        self._changed = asyncio.Event()
        # What happens before the first connection is published too.
        self._after: Mapping[str, int] = {}
        self._told = ""
        self._log = component("events")

    def apply(self) -> None:
        """Hear that the setting may be another one."""
        self._changed.set()

    def remember(self, succession: Succession) -> None:
        """Tell the next program what was published."""
        succession.tell(_LEFT, dict(self._after))

    def recall(self, succession: Succession) -> None:
        """Go on after what the program before has published."""
        self._after = succession.told(_LEFT, dict[str, int]) or {}

    def publishing(self) -> AbstractAsyncContextManager[object]:
        """Publish, as long as the context lasts."""
        return beside(self._serve(), "events")

    async def _serve(self) -> None:
        while True:
            self._changed.clear()
            if not self._network().publish_events:
                await self._changed.wait()
                self._after = self._book.page(Wanted(), self._broker).after
                continue
            try:
                await self._publish()
            except client_errors(*_UNREACHABLE) as error:
                why = str(error) or type(error).__name__
                # It may last, as where the broker has no login for the account; once is enough.
                if why != self._told:
                    self._told = why
                    self._log.warning("Could not publish events; they are tried again", why=why)
                await asyncio.sleep(self._pause)

    async def _publish(self) -> None:
        """Publish over one connection, as long as it lasts and the setting says so."""
        client = await self._connect(CHORIA_ACCOUNT, allow_reconnect=False, error_cb=_ignore)
        try:
            while self._network().publish_events:
                page = self._book.page(Wanted(after=self._after, since=0.0), self._broker, MOST)
                for place, payload in messages(page):
                    await client.publish(place, payload)
                if page.events or page.lost:
                    await client.flush(timeout=_FLUSH)  # type: ignore[arg-type] # the library takes parts of a second
                self._after, self._told = page.after, ""
                await happened(self._changed, self._pace)
                self._changed.clear()
                if not client.is_connected:
                    raise ConnectionError("the connection to the engine has ended")
        finally:
            await let_go(client)


async def _ignore(_error: Exception) -> None:
    """Take an error of the connection; its end is what counts."""
