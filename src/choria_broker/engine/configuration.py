"""The configuration that an engine runs with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from choria_broker.engine.gate import frames
from choria_broker.errors import NotReadyError, ReloadError


class Reloadable(Protocol):
    """The gate of a running engine."""

    async def reload(self, hello: frames.Hello, deadline: float) -> str:
        """Have the engine read its file again; the answer is the problem, if there was one."""
        ...

    async def revoke(self, file: str, deadline: float) -> str:
        """Have the engine read which certificates are revoked; the answer is the problem, if there was one."""
        ...


class Configuration:
    """Replaces the file of an engine and has it read.

    Args:
        gate: of the engine.
        write: replaces the file as a whole.
        text: of the file in force.
        deadline: seconds the engine has for one change.
    """

    def __init__(self, gate: Reloadable, write: Callable[[str], object], text: str, deadline: float) -> None:
        """Take over an engine that was started with a file."""
        self._gate = gate
        self._write = write
        self._text = text
        self._deadline = deadline

    @property
    def text(self) -> str:
        """Of the file in force."""
        return self._text

    async def apply(self, text: str, hello: frames.Hello) -> None:
        """Have the engine take over a file, and all files that it names. When it does not, everything is as before.

        One that says nothing in time lets it be when it comes to it; only what it has begun by then may be in force.

        Args:
            text: of the file.
            hello: what the file cannot say.

        Raises:
            ReloadError: the engine refused it.
            NotReadyError: the engine did not say in time what came of it.
            OSError: the file could not be written.
        """
        await asyncio.to_thread(self._write, text)
        try:
            problem = await self._gate.reload(hello, self._deadline)
        except NotReadyError:
            await asyncio.to_thread(self._write, self._text)
            raise
        if problem:
            await asyncio.to_thread(self._write, self._text)
            raise ReloadError(f"the engine rejected the change: {problem}; nothing has changed")
        self._text = text

    async def revoke(self, file: str) -> None:
        """Have the engine read anew which certificates of other brokers are revoked, and nothing else.

        Args:
            file: says which.

        Raises:
            ReloadError: the engine refused it.
            NotReadyError: the engine did not say in time what came of it.
        """
        problem = await self._gate.revoke(file, self._deadline)
        if problem:
            raise ReloadError(f"the engine rejected the change: {problem}; nothing has changed")
