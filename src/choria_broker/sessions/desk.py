"""Where operators ask about sessions, and have some ended."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from choria_broker.access.selection import Selection, selector
from choria_broker.access.session import Busy, BusySession, Departed, Session
from choria_broker.audit.acts import ActBook
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.errors import BrokerError
from choria_broker.sessions.documents import Kicked, Page, Sightings, SlowReceiver, Top
from choria_broker.sessions.lookup import look
from choria_broker.stats.readings import Server

PAGE = 2000
"""Most sessions that are told at once."""

_PAGE_BYTES = 3 * 1024 * 1024
_SHOWN = 100
_SLOW = 5


class Engine(Protocol):
    """An engine that is asked about its sessions; see ``engine.port``."""

    @property
    def since(self) -> float:
        """When it started, Unix seconds."""
        ...

    async def sessions(self, *, traffic: bool = False) -> tuple[Session, ...]:
        """List those that are connected."""
        ...

    async def departed(self) -> tuple[Departed, ...]:
        """List those that have ended."""
        ...

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        """End some at once."""
        ...


class MeasuredEngine(Engine, Protocol):
    """An engine that knows too what goes over its sessions now."""

    async def busiest(self, most: int, by: str) -> tuple[tuple[BusySession, ...], Busy]:
        """List those over which most goes."""
        ...


class Known(msgspec.Struct, frozen=True):
    """What others know that belongs to an answer.

    Attributes:
        decisions: tells the latest decisions, oldest first.
        complaints: tells who was denied something or was too slow, the latest first.
        server: tells what was read of the engine last, None when nothing was.
    """

    decisions: Callable[[], Sequence[Decision]]
    complaints: Callable[[], Sequence[Noted]] = tuple
    server: Callable[[], Server | None] = lambda: None


class NobodySelectedError(BrokerError):
    """Who is meant was not said."""


class SessionDesk:
    """Answers for one broker.

    Args:
        engine: its engine.
        known: what others know.
        broker: its identity.
        clock: Unix time in seconds.
        book: takes down what operators do.
    """

    def __init__(
        self,
        engine: MeasuredEngine,
        known: Known,
        broker: str,
        clock: Callable[[], float] = time.time,
        book: ActBook | None = None,
    ) -> None:
        """Nothing is asked yet."""
        self._engine = engine
        self._known = known
        self._broker = broker
        self._clock = clock
        self._book = book or ActBook(clock)

    async def page(self, selection: Selection, after: int) -> Page:
        """Tell of the connections that are meant, as many as fit into one answer.

        Args:
            selection: which are meant.
            after: number of the last one that is known already, 0 to begin.

        Raises:
            SelectionError: the selection means nothing.
            NotReadyError: the engine does not answer.
        """
        meant = selector(selection)
        listed = await self._engine.sessions(traffic=True)
        found = [each for each in listed if each.connection > after and meant(each)]
        shown = list(itertools.islice(_fitting(found), PAGE))
        return Page(self._clock(), tuple(shown), more=len(found) > len(shown))

    async def top(self, most: int, by: str) -> Top:
        """Tell over which connections most goes since somebody asked last.

        Args:
            most: how many are listed.
            by: what is most; as of ``engine.port``.

        Raises:
            NotReadyError: the engine does not answer, or is older than this program.
        """
        sessions, busy = await self._engine.busiest(most, by)
        server = self._known.server() or Server()
        late = (each for each in self._known.complaints() if each.kind == "slow")
        return Top(
            time=self._clock(),
            broker=self._broker,
            busy=busy,
            sessions=sessions,
            slow_consumers=server.slow_consumers,
            slow=tuple(_slow(each) for each in itertools.islice(late, _SLOW)),
            subscriptions=server.subscriptions,
            memory=server.memory,
        )

    async def kick(self, selection: Selection, who: str, *, dry_run: bool) -> Kicked:
        """End the sessions that are meant, at once; they may come again.

        Args:
            selection: which are meant; not every one.
            who: wants that, in words.
            dry_run: only tell whom it would hit.

        Raises:
            NobodySelectedError: the selection is empty.
            SelectionError: the selection means nothing.
            NotReadyError: the engine does not answer.
        """
        if selection.empty:
            raise NobodySelectedError("give an option that says whose sessions to end; a restart ends all of them")
        meant = selector(selection)
        hit = [each for each in await self._engine.sessions() if meant(each)]
        ended = 0 if dry_run else await self._ended(hit, selection, who)
        return Kicked(dry_run, len(hit), ended, tuple(hit[:_SHOWN]))

    async def _ended(self, hit: Sequence[Session], selection: Selection, who: str) -> int:
        """End sessions, and write down what came of it."""
        whom = msgspec.to_builtins(selection)
        try:
            ended = await self._engine.end_sessions((each.connection for each in hit), f"kicked by {who}")
        except BrokerError as error:
            self._book.record("kick", who, f"failed: {error}", selection=whom)
            raise
        self._book.record("kick", who, f"ended {ended} of {len(hit)} sessions", selection=whom)
        return ended

    async def look(self, text: str) -> Sightings:
        """Look for somebody in this broker.

        Raises:
            NotReadyError: the engine does not answer.
        """
        return look(
            text,
            broker=self._broker,
            since=self._engine.since,
            live=await self._engine.sessions(),
            departed=await self._engine.departed(),
            decisions=tuple(self._known.decisions()),
        )


def _slow(noted: Noted) -> SlowReceiver:
    return SlowReceiver(noted.who, noted.connection, noted.times, noted.last, noted.words)


def _fitting(sessions: Iterable[Session]) -> Iterator[Session]:
    """Take as many as fit into one answer, one in any case."""
    room = _PAGE_BYTES
    for number, session in enumerate(sessions):
        room -= len(msgspec.json.encode(session)) + 1
        if number and room < 0:
            return
        yield session
