"""Work that may hang, away from the loop and from whatever waits for the end of a loop's own threads."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar, cast

_T = TypeVar("_T")


async def apart(work: Callable[[], _T]) -> _T:
    """Do something in a thread of its own, and return or raise what comes of it.

    Who is cancelled meanwhile goes on at once, and nobody waits for the thread: neither the end of the loop nor that of
    the process. So it is for work that only reads.

    Args:
        work: what is to be done; it may wait for name servers, commands or disks.
    """
    return await begun_apart(work)


def begun_apart(work: Callable[[], _T]) -> asyncio.Future[_T]:
    """Begin what ``apart`` does, and return what will have come of it, for who does not wait all the time."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[_T] = loop.create_future()

    def tell(result: _T | None, error: BaseException | None) -> None:
        if found.done():
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(cast("_T", result))

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001 - whoever waits gets it
            error = caught
        with contextlib.suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, name="apart", daemon=True).start()
    return found
