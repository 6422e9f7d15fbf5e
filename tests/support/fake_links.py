"""Connections of a companion without a network, for tests of its work."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from choria_broker.companions.links import LinkDownError, TooLargeError

Heard = Any


@dataclasses.dataclass
class FakeLink:
    """A link whose other end is the test.

    Attributes:
        name: of the connection.
        up, url, lost: as those of a link.
        subscriptions: subject, queue group and who takes the messages.
        published: subject, data and reply subject of what was published.
        most: the largest message that the broker takes.
        full: too much waits to be sent.
        rooms: how often room was asked for.
        on_denied: told of what may not be published.
        calls: to how many subjects each was published.
    """

    name: str
    up: bool = True
    url: str = "nats://test:4222"
    lost: int = 0
    subscriptions: list[tuple[str, str, Heard]] = dataclasses.field(default_factory=list)
    published: list[tuple[bytes, bytes, bytes]] = dataclasses.field(default_factory=list)
    most: int = 1_048_576
    full: bool = False
    rooms: int = 0
    calls: list[int] = dataclasses.field(default_factory=list)
    news: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    on_denied: Callable[[bytes, str], None] = lambda *_: None

    def subscribe(self, subject: str, queue: str, heard: Heard) -> int:
        self.subscriptions.append((subject, queue, heard))
        return len(self.subscriptions)

    def close_ingest(self) -> None:
        self.subscriptions.clear()

    def hear(self, *data: bytes, subject: bytes = b"test", headers: bytes = b"", number: int = 0) -> None:
        """Have messages arrive in one read, on the subscription of that number."""
        self.subscriptions[number][2]([(subject, b"", headers, each) for each in data])

    def publish(self, subject: bytes, data: bytes, reply: bytes = b"") -> None:
        self.publish_to([subject], data, reply)

    def publish_to(self, subjects: Sequence[bytes], data: bytes, reply: bytes = b"") -> None:
        if not self.up:
            raise LinkDownError("not connected")
        if len(data) > self.most:
            raise TooLargeError("too large")
        if self.full:
            raise LinkDownError("too much data waits to be sent")
        self.calls.append(len(subjects))
        self.published += [(subject, data, reply) for subject in subjects]
        self.news.set()

    async def room(self) -> None:
        self.rooms += 1
        await self.wait_up()

    async def wait_up(self) -> None:
        while not self.up:
            await asyncio.sleep(0.001)

    async def until(self, count: int) -> list[tuple[bytes, bytes, bytes]]:
        """Wait until so many messages were published, and return them."""
        async with asyncio.timeout(60):
            while len(self.published) < count:
                self.news.clear()
                await self.news.wait()
        return self.published


class FakeLinks:
    """Makes such links.

    Attributes:
        made: by side, in their order.
    """

    def __init__(self) -> None:
        self.made: dict[str, list[FakeLink]] = {}

    def link(self, side: str, name: str) -> FakeLink:
        link = FakeLink(name)
        self.made.setdefault(side, []).append(link)
        return link
