"""Waiting for files that somebody is just replacing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from choria_broker.host.facts import FileFact, Mark
from choria_broker.host.files import marks_of

_LOOK = 0.1
_RECENT = 10.0
_NANOSECONDS = 1e9


def is_recent(marks: Mapping[Path, Mark | None], now: float) -> bool:
    """Tell whether one of some files was changed a moment ago.

    Args:
        marks: of the files.
        now: Unix seconds.
    """
    return any(mark is not None and mark.changed / _NANOSECONDS > now - _RECENT for mark in marks.values())


async def settled(files: Mapping[Path, FileFact], until: float) -> bool:
    """Wait for files, with which something is wrong, to change.

    Args:
        files: as they were read.
        until: the loop's time at which to give up.

    Returns:
        True when one has changed since it was read; False when nobody seems to be at it.
    """
    read = {path: fact.mark for path, fact in files.items()}
    loop = asyncio.get_running_loop()
    while True:
        marks = await asyncio.to_thread(marks_of, read)
        if marks != read:
            return loop.time() < until
        if not is_recent(marks, time.time()) or loop.time() >= until:
            return False
        await asyncio.sleep(_LOOK)
