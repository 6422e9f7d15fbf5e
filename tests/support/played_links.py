"""Connections of a companion, played."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from choria_broker.companions.links import LinkDownError, TooLargeError
from choria_broker.companions.wire import Message


class PlayedLink:
    """A link that a test opens and closes.

    Attributes:
        published: what was published, by target.
        calls: how many targets at a time.
        full: nothing can be published.
        way: set while it is connected and has room.
        closed: it takes nothing in any more.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.largest = 1_048_576
        self.published: list[tuple[bytes, bytes]] = []
        self.calls: list[int] = []
        self.full = False
        self.way = asyncio.Event()
        self.heard: Any = None
        self.subscribed: tuple[str, str] = ("", "")
        self.rooms = self.members = 0
        self.closed = False

    def subscribe(self, subject: str, queue: str, heard: Any) -> int:
        self.subscribed, self.heard = (subject, queue), heard
        self.members += 1
        return self.members

    async def wait_up(self) -> None:
        await self.way.wait()

    async def room(self) -> None:
        self.rooms += 1
        await self.way.wait()

    def publish_to(self, subjects: Sequence[bytes], data: bytes) -> None:
        if len(data) > self.largest:
            raise TooLargeError("it is too large")
        if self.full:
            raise LinkDownError("too much waits to be sent")
        self.calls.append(len(subjects))
        self.published += [(subject, data) for subject in subjects]

    def hear(self, *data: bytes) -> None:
        batch: list[Message] = [(self.subscribed[0].encode(), b"", b"", each) for each in data]
        self.heard(batch)

    def close_ingest(self) -> None:
        self.closed = True


class PlayedLinks:
    """What makes them; they are kept by side and name."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, str], PlayedLink] = {}

    def link(self, side: str, name: str) -> PlayedLink:
        made = self.made[side, name] = PlayedLink(f"nats://{side}:4222")
        made.way.set()
        return made
