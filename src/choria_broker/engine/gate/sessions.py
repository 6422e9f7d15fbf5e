"""What the broker asks of its engine about sessions: who is connected, who was, and to end some."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TypeVar

from choria_broker.access.session import Busy, BusySession, Departed, Session
from choria_broker.engine.gate import codec, frames
from choria_broker.engine.gate.calls import Calls
from choria_broker.errors import GateError, NotReadyError

_S = TypeVar("_S", Session, Departed)

PORTION = 10_000
"""Sessions that one frame ends."""


class SessionCalls:
    """The calls of one gate that are about sessions.

    Args:
        send: sends a call, given the number that it is made with; raises NotReadyError when there is no engine.
    """

    def __init__(self, send: Callable[[Callable[[int], frames.BrokerFrame], int], None]) -> None:
        """Begin without calls."""
        self._send = send
        self._listings: Calls[frames.Listed] = Calls()
        self._endings: Calls[int] = Calls()

    async def listed(self, kind: type[_S], deadline: float, *, traffic: bool = False, after: int = 0) -> tuple[_S, ...]:
        """List the sessions that are connected, or that were, page by page.

        Args:
            kind: ``Session`` for those that are connected, ``Departed`` for the last ones that have ended.
            deadline: seconds to wait for each page.
            traffic: with what goes over each of those that are connected.
            after: place of the last one that is known already.

        Raises:
            NotReadyError: there is no engine, or it did not answer in time.
            GateError: what it answered is no list of sessions.
        """
        ended = kind is Departed
        found: list[_S] = []
        more = True
        while more:
            ask = functools.partial(frames.Sessions, ended=ended, after=after, traffic=traffic)
            page = await self._listings.make(functools.partial(self._send, ask), deadline, "listing sessions")
            try:
                told = codec.listed_sessions(page, kind)
            except codec.FrameError as error:
                raise GateError(str(error)) from error
            found += told
            more = page.more and bool(told)
            after = _place(told[-1]) if more else 0
        return tuple(found)

    async def busiest(self, most: int, by: str, deadline: float) -> tuple[tuple[BusySession, ...], Busy]:
        """List those over which most goes, and tell what goes over all of them together.

        Args:
            most: how many are listed.
            by: what is most.
            deadline: seconds to wait.

        Raises:
            NotReadyError: there is no engine, it is older than this call, or it did not answer in time.
            GateError: what it answered is no list of sessions.
        """
        ask = functools.partial(frames.Sessions, traffic=True, busiest=most, by=by)
        page = await self._listings.make(functools.partial(self._send, ask), deadline, "listing the busiest sessions")
        if page.busy is None:
            raise NotReadyError(
                "the engine is older than this program and does not know this request; restart the broker"
            )
        try:
            return codec.listed_sessions(page, BusySession), page.busy
        except codec.FrameError as error:
            raise GateError(str(error)) from error

    async def end(self, connections: Iterable[int], reason: str, deadline: float) -> int:
        """End sessions at once.

        Args:
            connections: the engine's numbers of them.
            reason: for the engine's log, and for who asks later; not empty.
            deadline: seconds to wait for each portion.

        Returns:
            How many there were of them.

        Raises:
            NotReadyError: there is no engine, or it did not answer in time.
        """
        ended, numbers = 0, tuple(connections)
        for start in range(0, len(numbers), PORTION):
            end = functools.partial(frames.End, connections=numbers[start : start + PORTION], reason=reason)
            ended += await self._endings.make(functools.partial(self._send, end), deadline, "ending sessions")
        return ended

    def answer(self, frame: frames.Listed | frames.Ended) -> bool:
        """Hand an answer to the call that waits for it; False when no call of its number was ever made."""
        if isinstance(frame, frames.Listed):
            return self._listings.answer(frame.id, frame)
        return self._endings.answer(frame.id, frame.sessions)

    def stop(self) -> None:
        """Have every call that waits fail: nobody will answer."""
        self._listings.end()
        self._endings.end()


def _place(session: Session) -> int:
    """Where in its list a session is."""
    return session.number if isinstance(session, Departed) else session.connection
