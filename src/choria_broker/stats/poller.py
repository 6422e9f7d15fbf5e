"""Reads the engine's monitoring pages at intervals, so that whoever asks for metrics never asks the engine."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable

import msgspec

from choria_broker.background import beside, happened
from choria_broker.engine.pages import read_page
from choria_broker.log.structured import component
from choria_broker.stats.readings import Readings, Server, Streams, read_gateways, read_leafnodes, read_routes
from choria_broker.stats.standings import Standings
from choria_broker.values import replace

INTERVAL = 10.0
"""Seconds between two polls."""

DEADLINE = 2.0
"""Seconds one page may take."""

_SOON = (0.1, 0.2, 0.4)
"""Parts of the interval between the first polls: links come up in the seconds after a start."""

_LEAST = 0.1
"""Part of the interval that is between two polls in any case."""

_DOUBTFUL = 0.5
"""Part of the interval until the next poll, while something is to be looked at again."""

_STREAMS = "/jsz?config=1&accounts=1&streams=1"

LATELY = 3
"""Intervals after which readings no longer tell how the engine is; one poll may fail."""


class Poller:
    """Polls one engine.

    Args:
        pages: tells the address of the engine's monitoring pages, empty while there is no engine.
        interval: seconds between two polls.
        deadline: seconds one page may take.
        clock: Unix time in seconds.
        heard: told of the readings after each poll.
        steady: seconds, never set back or forward.
    """

    def __init__(
        self,
        pages: Callable[[], str],
        *,
        interval: float = INTERVAL,
        deadline: float = DEADLINE,
        clock: Callable[[], float] = time.time,
        heard: Callable[[Readings], None] = lambda _readings: None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is read before ``polling``."""
        self._pages = pages
        self._interval = interval
        self._deadline = deadline
        self._clock = clock
        self._heard = heard
        self._steady = steady
        self._read_at = steady()
        self._active = False
        self._wanted = asyncio.Event()
        self._last: Readings | None = None
        self._log = component("statistics")

    @property
    def latest(self) -> Readings | None:
        """What the last poll read; None before the first one and while there is no engine."""
        return self._last if self._pages() else None

    @property
    def answering(self) -> bool | None:
        """Whether the engine's pages were read lately; None while nobody reads them."""
        if not self._active:
            return None
        return self.latest is not None and self._steady() - self._read_at <= LATELY * self._interval

    @contextlib.asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """Poll once, and on and on as long as the context lasts; enter it when the engine is ready."""
        self._active = True
        await self._poll()
        async with beside(self._poll_regularly(), "statistics"):
            try:
                yield
            finally:
                self._active, self._last = False, None

    async def _poll_regularly(self) -> None:
        for part in itertools.chain(_SOON, itertools.repeat(1.0)):
            standings = self._last.standings if self._last else None
            await self._rest(part * self._interval * (_DOUBTFUL if standings and standings.doubtful else 1.0))
            await self._poll()

    async def _rest(self, seconds: float) -> None:
        """Wait until the next poll, or for less when something has happened."""
        least = min(seconds, _LEAST * self._interval)
        await asyncio.sleep(least)
        await happened(self._wanted, seconds - least)
        self._wanted.clear()

    def soon(self) -> None:
        """Poll soon: a link may have ended."""
        self._wanted.set()

    async def _poll(self) -> None:
        if not self._pages():
            return
        try:
            varz = await self._page("/varz")
        except _UNREADABLE as error:
            self._log.error("Could not read the engine's statistics", why=str(error) or type(error).__name__)
            return
        server = Server.read(varz)
        read = replace(self._last, server=server) if self._last else Readings(server)
        with contextlib.suppress(*_UNREADABLE):
            read = replace(read, leafnodes=read_leafnodes(await self._page("/leafz")))
        with contextlib.suppress(*_UNREADABLE):
            page = await self._page(_STREAMS)
            standings = Standings.read(page, server.name, read.standings, self._steady())
            read = replace(read, streams=Streams.read(page), standings=standings)
        with contextlib.suppress(*_UNREADABLE):
            read = replace(read, routes=read_routes(await self._page("/routez")))
        with contextlib.suppress(*_UNREADABLE):
            read = replace(read, gateways=read_gateways(await self._page("/gatewayz")))
        self._last, self._read_at = replace(read, time=self._clock()), self._steady()
        self._heard(self._last)

    async def _page(self, path: str) -> object:
        return msgspec.json.decode(await read_page(self._pages(), path, self._deadline))


_UNREADABLE = (TimeoutError, OSError, ValueError, RecursionError)
"""Why a page could not be read; what is no JSON is a ``ValueError``, what is nested too deeply a ``RecursionError``."""
