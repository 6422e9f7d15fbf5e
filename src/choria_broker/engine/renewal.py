"""Putting a changed configuration in force in an engine that runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from choria_broker.errors import BrokerError, ReloadError


class Reloadable(Protocol):
    """The gate of a running engine."""

    async def reload(self, deadline: float) -> str:
        """Have the engine read its file again; the answer is the problem, if there was one."""
        ...


class Renewal:
    """Replaces the file of an engine and has it read; one change at a time.

    Args:
        gate: of the engine.
        write: replaces the file as a whole.
        text: of the file in force.
        deadline: seconds the engine has for one change.
    """

    def __init__(self, gate: Reloadable, write: Callable[[str], object], text: str, deadline: float) -> None:
        """Take over an engine that is ready."""
        self._gate = gate
        self._write = write
        self._text = text
        self._deadline = deadline
        self._lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def alone(self, outcomes: Counter[str]) -> AsyncIterator[None]:
        """Wait until no other change is under way, and keep others waiting.

        Args:
            outcomes: counts as ``applied`` what is done without an error until the context ends, else as ``refused``.
        """
        async with self._lock:
            try:
                yield
            except (BrokerError, OSError):
                outcomes["refused"] += 1
                raise
            outcomes["applied"] += 1

    async def put_in_force(self, text: str) -> None:
        """Have the engine take over a file. When it does not, everything is as before.

        Raises:
            ReloadError: the engine refused it.
            NotReadyError: the engine did not say in time what came of it.
            OSError: the file could not be written.
        """
        await asyncio.to_thread(self._write, text)
        problem = await self._gate.reload(self._deadline)
        if problem:
            await asyncio.to_thread(self._write, self._text)
            raise ReloadError(f"the engine refuses the change: {problem}; nothing has changed")
        self._text = text
