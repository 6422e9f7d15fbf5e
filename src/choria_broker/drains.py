"""Drains of a running broker: the engine moves connections and leaders elsewhere, and one owner here follows it.

    none       nothing is wanted; ``_wanted`` is None.
    asked      the engine has an order with the next serial number. What it tells counts only under this number: it may
               still tell of the order before.
    draining   it tells how many are left. A further order takes its place, for who is left.
    drained    nobody is left, and it leads nothing, or nobody else could lead for ten seconds. It stays so: new
               connections are refused until the drain is taken back or the broker ends.

Taking back leads to none from everywhere. The engine goes on by itself: a reload changes nothing, and after an upgrade
the next program follows what it finds under way. What came of each drain is written down once, when it is over,
replaced, taken back, or ended by the end of the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import msgspec

from choria_broker.audit.acts import ActBook
from choria_broker.background import beside
from choria_broker.engine.counters import GateCounters
from choria_broker.errors import BrokerError, DrainError, NotReadyError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.status.drains import DRAINED, DRAINING, DrainReport, counted

LONGEST = 86_400.0
"""Seconds over which a drain may be spread."""

_LOOK_EVERY = 0.1
_TELL_EVERY = 10.0
_LEADERS_WITHIN = 10.0
"""Seconds that leaders have once the last connection is gone, where others could lead."""

_log = component("network")


class _Left(msgspec.Struct, frozen=True):
    """What is left to the next program."""

    wanted: DrainReport
    most: int = 0
    over: bool = False


_LEFT = "drain"


class Movable(Protocol):
    """An engine that can drain."""

    @property
    def counters(self) -> GateCounters:
        """What happened at its gate; how far a drain is among it."""
        ...

    async def drain(self, serial: int, over: float | None) -> None:
        """Begin to move connections and leaders elsewhere, or take that back."""
        ...


class Drains:
    """The one owner of drains. One that is asked for during another takes its place, for who is left."""

    def __init__(self, engine: Movable, clock: Callable[[], float] = time.time, book: ActBook | None = None) -> None:
        """Nothing is drained yet.

        Args:
            engine: moves its connections and leaders.
            clock: Unix time in seconds.
            book: takes down what operators do.
        """
        self._book = book or ActBook(clock)
        self._engine = engine
        self._clock = clock
        self._turn = asyncio.Lock()
        self._wanted: DrainReport | None = None
        self._serial, self._most = 0, 0
        self._empty_since: float | None = None
        self._begun, self._over = asyncio.Event(), asyncio.Event()

    def remember(self, succession: Succession) -> None:
        """Tell the next program how far a drain is."""
        if self._wanted is not None:
            succession.tell(_LEFT, _Left(self._wanted, self._most, self._over.is_set()))

    def recall(self, succession: Succession) -> None:
        """Go on with the drain of the program before, which the engine goes on with by itself."""
        left = succession.told(_LEFT, _Left)
        if left:
            self._wanted, self._most = left.wanted, left.most
            if left.over:
                self._over.set()

    @property
    def report(self) -> DrainReport:
        """How far it is."""
        wanted, moving = self._wanted, self._engine.counters.moving
        if wanted is None:
            return DrainReport()
        if moving.serial != self._serial:  # The engine has not told yet.
            return wanted
        return DrainReport(
            state=DRAINED if self._over.is_set() else DRAINING,
            by=wanted.by,
            since=wanted.since,
            over=wanted.over,
            connections=max(self._most, moving.left + moving.ended),
            left=moving.left,
            ended=moving.ended,
            leaders=moving.leaders,
            handed_over=moving.handed_over,
        )

    async def begin(self, over: float, who: str) -> DrainReport:
        """Begin a drain.

        Args:
            over: seconds to spread it over.
            who: asks for it, in words.

        Raises:
            DrainError: it cannot begin; the message says why.
            NotReadyError: the broker is not running, or the engine did not answer in time.
        """
        if not 0 <= over <= LONGEST:
            raise DrainError("a drain takes 0 s to 24 h")
        async with self._turn:
            before = self.report
            await self._ask("drain", over, who)
            if self._wanted is not None:
                self._write_down(f"replaced by another drain, after it moved {before.moved}", before)
            else:
                self._most = 0
            self._wanted = DrainReport(DRAINING, who, self._clock(), over)
            self._empty_since = None
            self._over.clear()
            self._begun.set()
            _log.warning(f"Draining {self._wanted.plan}: new connections are refused", by=who)
            return self.report

    async def cancel(self, who: str) -> DrainReport:
        """Take a drain back; nothing happens without one.

        Args:
            who: asks for it, in words.

        Returns:
            The drain that was taken back.

        Raises:
            DrainError: it cannot be taken back and goes on; the message says why.
            NotReadyError: the broker is not running, or the engine did not answer in time.
        """
        async with self._turn:
            before = self.report
            if self._wanted is None:
                return before
            await self._ask("drain --cancel", None, who)
            self._write_down(f"cancelled by {who}, after it moved {before.moved}", before)
            self._book.record("drain --cancel", who, f"cancelled, {counted(before.left, 'connection')} stay")
            self._wanted = None
            self._begun.clear()
            self._over.clear()
            _log.warning("The drain is cancelled: connections are accepted again", by=who)
            return before

    async def finished(self) -> None:
        """Wait until everything has moved; for ever when there is no drain."""
        await self._over.wait()

    @contextlib.asynccontextmanager
    async def served(self, leaving: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        """Follow drains as long as the context lasts, also one of before that the engine goes on with.

        Args:
            leaving: tells on exit whether another program goes on with a drain.
        """
        moving = self._engine.counters.moving
        self._serial = moving.serial
        if moving.draining:
            self._wanted = self._wanted or DrainReport(DRAINING, "a program of before", self._clock())
            if not self._over.is_set():
                self._begun.set()
        try:
            async with beside(self._follow(), "drain"):
                yield
        finally:
            if self._wanted is not None and not leaving():
                report = self.report
                self._write_down(f"the broker stops, after it moved {report.moved}", report)
                self._wanted = None

    async def _ask(self, act: str, over: float | None, who: str) -> None:
        try:
            await self._engine.drain(self._serial + 1, over)
        except BrokerError as error:
            self._book.record(act, who, f"refused: {error}")
            raise
        self._serial += 1

    def _write_down(self, outcome: str, report: DrainReport) -> None:
        """Write down what came of a drain, unless that was done when it was over."""
        if report.state != DRAINED:
            self._book.record("drain", report.by, outcome, over=report.over, left=report.left)

    async def _follow(self) -> None:
        told = 0.0
        while True:
            if not self._begun.is_set():
                await self._begun.wait()
                told = self._clock()
            await asyncio.sleep(_LOOK_EVERY)
            now = self._clock()
            if self._wanted is None or self._engine.counters.moving.serial != self._serial:
                continue
            if self._moved(now):
                _log.warning(f"Drained: {self.report.sentence}", moved=self.report.moved)
            elif now - told >= _TELL_EVERY:
                told = now
                _log.info(f"Draining: {self.report.sentence}")

    def _moved(self, now: float) -> bool:
        """Look how far it is; True once when everything has moved that can."""
        moving = self._engine.counters.moving
        self._most = max(self._most, moving.left + moving.ended)
        if moving.left:
            self._empty_since = None
            return False
        if self._empty_since is None:
            self._empty_since = now
        if moving.leaders and now - self._empty_since < _LEADERS_WITHIN:
            return False
        self._write_down(f"moved {self.report.moved}", self.report)
        self._begun.clear()
        self._over.set()
        return True


async def drained_first(drains: Drains, over: float, who: str, hurry: asyncio.Event) -> None:
    """Drain before a stop; an error is logged, and the stop follows in any case.

    Args:
        drains: of the broker.
        over: seconds to spread it over.
        who: asks for it, in words.
        hurry: set when nobody wants to wait for it any longer.
    """
    try:
        await drains.begin(over, who)
    except (DrainError, NotReadyError) as error:
        _log.error("Could not drain before the stop", why=str(error))
        return
    async with beside(drains.finished(), "end of the drain") as finished, beside(hurry.wait(), "hurry") as hurried:
        waited: set[asyncio.Task[Any]] = {finished, hurried}
        await asyncio.wait(waited, timeout=over + _LEADERS_WITHIN, return_when=asyncio.FIRST_COMPLETED)
