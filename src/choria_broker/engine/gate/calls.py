"""What the broker asks of a running engine: each call waits for its own answer, with a deadline; calls are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from choria_broker.errors import NotReadyError

MOST = 16
"""Calls that wait at the same time."""

Answer = TypeVar("Answer")


class Calls(Generic[Answer]):
    """The calls of one gate.

    A call is known by its number, which its answer repeats. Once a call is given up, what came of it stays unknown: its
    answer may come or not, and is dropped.

    Args:
        most: calls that may wait at the same time.

    Attributes:
        closed: no more calls are made.
    """

    def __init__(self, most: int = MOST) -> None:
        """Begin without calls."""
        self._most = most
        self.closed = False
        self._last = 0
        self._waiting: dict[int, asyncio.Future[Answer]] = {}

    @property
    def last(self) -> int:
        """Number of the last call, 0 before the first."""
        return self._last

    def begin_after(self, number: int) -> None:
        """Go on with the calls of another program, which made its last one with a number; none of them waits."""
        self._last = number

    async def close(self) -> None:
        """Take no more calls, and wait until none waits."""
        self.closed = True
        while self._waiting:
            await asyncio.wait(tuple(self._waiting.values()))
            await asyncio.sleep(0)  # Whoever made the call takes it off the list.

    async def make(self, send: Callable[[int], object], deadline: float, about: str) -> Answer:
        """Make a call and wait for its answer.

        Args:
            send: sends the call of this number.
            deadline: seconds to wait.
            about: what the engine is asked for, in words.

        Raises:
            NotReadyError: there was no answer in time, or there will be none.
        """
        if self.closed:
            raise NotReadyError("another program is about to go on with the engine")
        if len(self._waiting) >= self._most:
            raise NotReadyError(f"the engine already has {self._most} unanswered calls")
        self._last += 1
        number = self._last
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            send(number)
            await asyncio.wait({answer}, timeout=deadline)
        finally:
            del self._waiting[number]
        if not answer.done():
            raise NotReadyError(f"the engine did not report the result of {about} within {deadline:.0f} s")
        if answer.cancelled():
            raise NotReadyError(f"the engine ended before it reported the result of {about}")
        return answer.result()

    def answer(self, number: int, answer: Answer) -> bool:
        """Hand an answer to the call that waits for it, if it still does.

        Returns:
            False when no call of this number was ever made.
        """
        waiting = self._waiting.get(number)
        if waiting and not waiting.done():
            waiting.set_result(answer)
        return 0 < number <= self._last

    def end(self) -> None:
        """Have every call that waits fail: nobody will answer."""
        for waiting in self._waiting.values():
            waiting.cancel()
