"""Moves the messages of one route from one network to the other."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable

from choria_broker.companions.complaints import Complaints
from choria_broker.companions.links import Link, PublishError
from choria_broker.companions.wire import Message
from choria_broker.federation.stages import EGEST, INGEST, Passing, Route, Stages
from choria_broker.federation.transport import Cause

MOST_WAITING = 12_280
"""Messages that may wait; the original has room for so many between its stages."""

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of the messages that may wait."""

_AT_ONCE = 64
"""Messages after which others get their turn."""

_VOLUME = 512 * 1024
"""Bytes to publish before room is asked for again."""


class Relay:
    """Moves the messages of one route.

    What comes in waits in a bounded queue, which is worked off as fast as the other side takes it. When that is away,
    messages wait; those that find no room are dropped and counted.

    Args:
        route: the route.
        stages: edit and count.
        ingest, egest: the connections.
        complaints: told of what is dropped.
        bounds: messages and bytes that may wait.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        route: Route,
        stages: Stages,
        ingest: Link,
        egest: Link,
        complaints: Complaints,
        *,
        bounds: tuple[int, int] = (MOST_WAITING, MOST_BYTES),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Subscribe; nothing is worked off before ``run``."""
        self._route, self._stages, self._complaints = route, stages, complaints
        self._ingest, self._egest = ingest, egest
        self._most, self._most_bytes = bounds
        self._clock = clock
        self._queue: collections.deque[bytes] = collections.deque()
        self._bytes = 0
        self._in_hand = self._volume = 0
        self._filled = asyncio.Event()
        self._url = ""
        egest.on_denied = self._denied
        for _ in range(stages.workers):  # As many members of the queue group as workers, as go-choria has.
            ingest.subscribe(route.subject, route.group, self._heard)

    @property
    def pending(self) -> int:
        """Messages that were taken in and are not published yet."""
        return len(self._queue) + self._in_hand

    async def run(self) -> None:
        """Move messages until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for link, stage in ((self._ingest, INGEST), (self._egest, EGEST)):
                tasks.create_task(self._begin(link, stage), name=f"{stage} of {self._route.subject}")
            tasks.create_task(self._move(), name=f"messages of {self._route.subject}")

    async def _begin(self, link: Link, stage: str) -> None:
        await link.wait_up()
        self._stages.begin(stage)

    def _heard(self, batch: list[Message]) -> None:
        self._stages.begin(INGEST)
        self._url = self._ingest.url or self._url
        dropped = 0
        for message in batch:
            data = message[-1]
            if len(self._queue) >= self._most or self._bytes + len(data) > self._most_bytes:
                dropped += 1
                continue
            self._queue.append(data)
            self._bytes += len(data)
        if dropped:
            self._stages.overflowed(dropped)
            self._complain(
                "Dropped messages: too many wait for the other side", b"", messages=dropped, side=self._route.egest
            )
        self._filled.set()

    def _denied(self, _subject: bytes, _words: str) -> None:
        self._stages.begin(EGEST)
        self._stages.denied()

    async def _move(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self._room()
                self._stages.begin(EGEST)
                for _ in range(min(len(self._queue), _AT_ONCE)):
                    await self._next()
                await asyncio.sleep(0)

    async def _room(self) -> None:
        await self._egest.room()
        self._volume = 0

    async def _next(self) -> None:
        data = self._queue.popleft()
        self._bytes -= len(data)
        passing = self._stages.take(data)
        if isinstance(passing, Cause):
            self._complain("Dropped a message", data, why=str(passing))
            return
        if refused := passing.outgoing.refused:
            self._complain(
                "Published a message to only some of its targets: the others are not valid subjects",
                data,
                refused=refused,
            )
        self._in_hand = 1
        await self._publish(passing)
        self._in_hand = 0

    async def _publish(self, passing: Passing) -> None:
        """Publish a message to all its targets, a part of them at a time when together they are much."""
        begun, egest = self._clock(), self._egest
        data = self._stages.written(passing, self._url, egest.url)
        targets = [target.encode() for target in passing.outgoing.targets]
        at_once, done = max(1, _VOLUME // len(data)), 0
        for first in range(0, len(targets), at_once):
            if self._volume > _VOLUME:
                await self._room()
            part = targets[first : first + at_once]
            self._volume += len(part) * len(data)
            try:
                egest.publish_to(part, data)
            except PublishError as error:
                self._complain("Could not publish a message", data, targets=len(part), why=str(error))
            else:
                done += len(part)
        self._stages.published(passing, done, len(passing.outgoing.targets) - done, self._clock() - begun)

    def _complain(self, text: str, message: bytes, **fields: object) -> None:
        self._complaints.say(text, message, subject=self._route.subject, **fields)
