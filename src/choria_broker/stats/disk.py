"""The disk of the store of Choria Streams: how much is free there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from choria_broker.host.apart import begun_apart


def _free(store: Path) -> int | None:
    try:
        found = os.statvfs(store)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


class StoreDisk:
    """Asks the file system, which may never answer, one question at a time; a stop does not wait for the answer.

    Args:
        ask: asks the file system of a directory.

    Attributes:
        free: bytes that are left for the broker's user; None while that is not known.
    """

    def __init__(self, ask: Callable[[Path], int | None] = _free) -> None:
        """Nothing was asked yet."""
        self._ask = ask
        self.free: int | None = None
        self._asked: asyncio.Future[int | None] | None = None

    async def look(self, store: Path | None, patience: float) -> None:
        """Ask how much is free.

        Args:
            store: the directory of the store, None without one.
            patience: seconds to wait; an answer that comes later counts the next time.
        """
        if store is None:
            self.free = None
            return
        if self._asked is None:
            self._asked = begun_apart(lambda: self._ask(store))
        done, _ = await asyncio.wait((self._asked,), timeout=patience)
        self.free = self._asked.result() if done else None
        if done:
            self._asked = None
