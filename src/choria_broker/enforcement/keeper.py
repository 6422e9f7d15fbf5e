"""Ends sessions: after each reload those of who is revoked by now, and with ``enforce_expiry`` those that are over."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from choria_broker.access.revoked import Revocations
from choria_broker.access.rules import RULES
from choria_broker.access.session import Session
from choria_broker.background import beside
from choria_broker.enforcement.ending import EXPIRED, Ending, endings
from choria_broker.enforcement.wheel import Wheel
from choria_broker.errors import BrokerError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component

_LOOK = 0.5
_SHOWN = 20
_LEFT = "enforcement"

_log = component("access")


class Ends(Protocol):
    """A running engine."""

    async def sessions(self) -> tuple[Session, ...]:
        """List the sessions there are."""
        ...

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        """End some of them, and tell how many there were."""
        ...


class Enforcement:
    """Sees to it that nobody stays whose right is gone.

    Attributes:
        ended: sessions that were ended, by the rule that says why, or ``expired``.
    """

    def __init__(
        self, engine: Ends, revocations: Callable[[], Revocations], clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing is looked at yet.

        Args:
            engine: has the sessions.
            revocations: gives what is revoked by now.
            clock: Unix seconds.
        """
        self._engine = engine
        self._revocations = revocations
        self._clock = clock
        self._wheel = Wheel()
        self._owed = True  # Sessions may be older than this program.
        self._counting: frozenset[object] = frozenset()
        self._turn = asyncio.Lock()
        causes = (*(name for name in RULES if name.startswith("revoked-")), EXPIRED)
        self.ended = collections.Counter(dict.fromkeys(causes, 0))

    def remember(self, succession: Succession) -> None:
        """Tell the next program how many sessions were ended."""
        succession.tell(_LEFT, self.ended)

    def recall(self, succession: Succession) -> None:
        """Go on counting where the program before has stopped."""
        self.ended.update(succession.told(_LEFT, collections.Counter[str]) or {})

    def admitted(self, connection: int, expires: float | None) -> None:
        """Hear of a connection that is let in, and when its time is over, Unix seconds; None for never."""
        if expires is not None and self._revocations().revocation.enforce_expiry:
            self._wheel.add(connection, expires, self._clock())

    async def enforce(self) -> int:
        """End the sessions of everybody who is revoked by now; nobody else is touched.

        Returns:
            How many were ended.

        Raises:
            NotReadyError: the engine did not answer in time; it is tried again every half second.
        """
        async with self._turn:
            self._owed = True
            revocations, now = self._revocations(), self._clock()
            expiry = revocations.revocation.enforce_expiry
            if not expiry:
                self._wheel.empty()
            count = 0
            if revocations or expiry:
                sessions = await self._engine.sessions()
                matches = await asyncio.to_thread(revocations.of_sessions, sessions, now)
                if expiry:
                    self._wheel.fill(sessions, now)
                for each, found in matches[:_SHOWN]:
                    _log.warning(
                        "Ending a session",
                        cid=each.connection,
                        account=each.account,
                        user=each.username,
                        rule=found.rule.name,
                        why=found.reason,
                        place=found.place,
                    )
                if len(matches) > _SHOWN:
                    _log.warning("Ending further sessions", sessions=len(matches) - _SHOWN)
                count = await self._end(endings(matches))
            self._counting, self._owed = revocations.active(now), False
            return count

    async def after_reload(self) -> int:
        """Do the same after a reload; when the engine does not answer, it is tried again and counted as none."""
        try:
            return await self.enforce()
        except BrokerError as error:
            _log.error("Could not end sessions that are revoked or expired, trying again", why=str(error))
            return 0

    def kept(self) -> AbstractAsyncContextManager[object]:
        """Look after sessions as long as the context lasts; enter it when the engine is ready."""
        return beside(self._watch(), "enforcement")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self.look()
            except BrokerError as error:
                _log.error("Could not list the sessions, trying again", why=str(error))

    async def look(self) -> None:
        """Do what is due by now.

        Raises:
            NotReadyError: the engine did not answer in time.
        """
        revocations, now = self._revocations(), self._clock()
        # An entry that had ended counts again when the clock was set back.
        active = revocations.active(now)
        again, self._counting = active - self._counting, active
        expiry = revocations.revocation.enforce_expiry
        if self._owed or again or (expiry and self._wheel.wants_filling(now)):
            await self.enforce()
        if expiry and (due := self._wheel.due(now)):
            await self._end((Ending(EXPIRED, "token or certificate has expired", due),))

    async def _end(self, these: Iterable[Ending]) -> int:
        count = 0
        for ending in these:
            ended = await self._engine.end_sessions(ending.connections, ending.reason)
            self.ended[ending.cause] += ended
            count += ended
        return count
