"""Tells of the end of each connection that was let in: a line of the log, bounded for each address as refusals are."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from choria_broker.access.session import Departed
from choria_broker.audit.throttle import Bounds, Counted, RefusalThrottle
from choria_broker.background import beside
from choria_broker.errors import BrokerError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.sessions.words import lasted, name_of
from choria_broker.settings import durations

PACE = 1.0
"""Seconds between two looks."""

_LONGEST = 256
_LEFT, _THROTTLED = "ends told", "ends counted"


class Departures:
    """Looks at intervals who has gone.

    Args:
        departed: lists those that have ended since one of them, by its number.
        bounds: of the lines.
        clock: Unix time in seconds.
        pace: seconds between two looks.

    Attributes:
        heard: told of each, and whose it was.
    """

    def __init__(
        self,
        departed: Callable[[int], Awaitable[tuple[Departed, ...]]],
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.time,
        pace: float = PACE,
    ) -> None:
        """Nobody has gone yet."""
        self._departed = departed
        self._throttle = RefusalThrottle(bounds)
        self._clock = clock
        self._pace = pace
        self.heard: Callable[[Departed, str], None] = lambda _gone, _name: None
        self._after = 0
        self._known = True
        self._log = component("access")

    def remember(self, succession: Succession) -> None:
        """Tell the next program of whom was told."""
        succession.tell(_LEFT, self._after)
        succession.tell(_THROTTLED, self._throttle.counted)

    def recall(self, succession: Succession) -> None:
        """Go on after the program before; of what one told that said nothing of it, nothing is told again."""
        if not succession.follows:
            return
        after, counted = succession.told(_LEFT, int), succession.told(_THROTTLED, Counted)
        self._after, self._known = after or 0, after is not None
        if counted is not None:
            self._throttle.go_on(counted)

    @contextlib.asynccontextmanager
    async def told(self, leaving: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        """Tell of those who go, as long as the context lasts; enter it when the engine is ready.

        Args:
            leaving: tells on exit whether another program goes on, and so has what is not told yet.
        """
        async with beside(self._look_regularly(), name="ends of connections"):
            try:
                yield
            finally:
                self._sum_up(final=not leaving())

    async def _look_regularly(self) -> None:
        while True:
            try:
                await self.look()
            except BrokerError as error:
                self._log.debug("Could not list the connections that have ended", why=str(error))
            await asyncio.sleep(self._pace)

    async def look(self) -> None:
        """Tell of those who have gone since the last look.

        Raises:
            NotReadyError: the engine does not answer.
        """
        for each in await self._departed(self._after):
            self._after = each.number
            if self._known:
                self._tell(each)
        self._known = True
        self._sum_up()

    def _tell(self, gone: Departed) -> None:
        self.heard(gone, name_of(gone))
        if not self._throttle.note(gone.address, gone.reason, self._clock()):
            return
        traffic = gone.traffic
        self._log.info(
            "Connection ended",
            cid=gone.connection,
            remote=gone.address,
            kind=gone.kind,
            account=gone.account,
            identity=name_of(gone)[:_LONGEST],
            after=durations.in_go(lasted(gone)),
            reason=gone.reason,
            **({"in_bytes": traffic.in_bytes, "out_bytes": traffic.out_bytes} if traffic else {}),
        )

    def _sum_up(self, *, final: bool = False) -> None:
        for each in self._throttle.summaries(self._clock(), final=final):
            self._log.info(
                "Further connections ended",
                remote=each.address,
                addresses=each.addresses,
                left_out=each.refusals,
                within=f"{self._throttle.bounds.window:.0f}s",
                reasons=", ".join(f"{reason}={count}" for reason, count in sorted(each.rules.items())),
            )
