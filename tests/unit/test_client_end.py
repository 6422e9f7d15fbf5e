"""The end of NATS clients and of the tasks that use them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from choria_broker.client_end import heeding_cancellation


async def swallowing() -> None:
    """Take a cancellation for itself, as the library does while it flushes."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


async def test_a_cancellation_that_was_swallowed_counts() -> None:
    went_on = asyncio.Event()

    async def work() -> None:
        with heeding_cancellation():
            await swallowing()
        went_on.set()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    assert not went_on.is_set()


async def test_a_deadline_is_a_deadline_still() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            with heeding_cancellation():
                await swallowing()


async def test_nothing_happens_to_who_was_not_cancelled() -> None:
    with heeding_cancellation():
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="x"), heeding_cancellation():
        raise ValueError("x")
