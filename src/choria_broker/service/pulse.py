"""What the service manager is told while the broker runs: that it lives, and how it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from choria_broker.background import beside, happened
from choria_broker.errors import BrokerError, root_cause
from choria_broker.service import systemd

STATUS_EVERY = 5.0
"""Seconds between two sentences about how the broker is."""

STOP_EXTENDED = 30.0
"""Seconds that a stop may still take, counted from each time the manager is told of it."""

_MICROSECONDS = 1_000_000


class Alive(Protocol):
    """A broker that is looked after."""

    @property
    def started(self) -> bool:
        """It serves."""
        ...

    @property
    def summary(self) -> str:
        """How it is, in a sentence or two."""
        ...

    async def answers(self, within: float) -> None:
        """Have the engine answer, or raise."""
        ...


def watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """Tell how many seconds the manager waits for a sign of life; None when it waits for none of this process.

    Args:
        environ: variables of the process.
        pid: its id.
    """
    given = environ.get("WATCHDOG_USEC", "")
    if not (given.isascii() and given.isdigit() and int(given)) or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(given) / _MICROSECONDS


class Pulse:
    """Tells the manager, while it is entered, every few seconds what there is to tell.

    A sign of life is sent when this loop runs and the engine answers. During a stop there is no engine that could:
    the loop is enough then, and the time that the stop may take is extended as long as it is under way.
    """

    def __init__(self, broker: Alive, environ: Mapping[str, str] | None = None) -> None:
        """Look what the manager wants; nothing is sent yet.

        Args:
            broker: who is looked after.
            environ: variables to use instead of those of the process.
        """
        self._broker = broker
        environ = os.environ if environ is None else environ
        self._wanted = bool(environ.get("NOTIFY_SOCKET"))
        patience = watchdog(environ, os.getpid())
        self._watched = patience is not None
        self._every = min(STATUS_EVERY, (patience or STATUS_EVERY * 3) / 3)
        self._stopping, self._answered = False, True
        self._due = asyncio.Event()

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Tell the manager as long as the context lasts."""
        if not self._wanted:
            yield
            return
        try:
            async with beside(self._beat(), "service manager"):
                yield
        except BaseExceptionGroup as group:
            raise root_cause(group) from None

    def shows(self) -> None:
        """Tell the manager at once how the broker is; the next sign of life follows without delay."""
        if self._wanted:
            systemd.tell(self._status())
            self._due.set()

    def stops(self) -> None:
        """Tell the manager that the broker stops now; ``beating`` goes on until it has."""
        self._stopping = True
        if self._wanted:
            systemd.tell("STOPPING=1")
            systemd.tell(f"{self._extended()}\n{self._status()}")

    async def _beat(self) -> None:
        while True:
            alive = await self._answers() or self._stopping
            extended = [self._extended()] if self._stopping else []
            systemd.tell("\n".join([self._status(), *extended, *(["WATCHDOG=1"] if alive and self._watched else [])]))
            await happened(self._due, self._every)
            self._due.clear()

    async def _answers(self) -> bool:
        try:
            await self._broker.answers(self._every)
        except BrokerError:
            self._answered = False
        else:
            self._answered = True
        return self._answered

    def _status(self) -> str:
        if self._stopping:
            return f"STATUS=Stopping. {self._broker.summary}"
        silent = self._broker.started and not self._answered
        return f"STATUS={'The engine does not answer. ' if silent else ''}{self._broker.summary}"

    def _extended(self) -> str:
        return f"EXTEND_TIMEOUT_USEC={round(STOP_EXTENDED * _MICROSECONDS)}"
