"""Work that goes on beside other work, and ends with it; waits that end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, Result], name: str) -> AsyncIterator[asyncio.Task[Result]]:
    """Have something done as long as the context lasts; on exit it is cancelled and waited for.

    An error of either ends the other one.

    Args:
        work: what is done.
        name: of its task, for who looks at a program that stands still.

    Yields:
        The task.

    Raises:
        ExceptionGroup: an error of the work, or of the context.
    """
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work, name=name)
        try:
            yield task
        finally:
            task.cancel()


async def happened(event: asyncio.Event, within: float) -> bool:
    """Wait for something to happen, and tell whether it did.

    Args:
        event: set when it does.
        within: seconds.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()
    return event.is_set()
