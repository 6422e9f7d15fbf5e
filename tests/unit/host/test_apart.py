"""Work in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from choria_broker.host.apart import apart

PATIENCE = 20.0


async def test_what_comes_of_it_is_returned_or_raised() -> None:
    assert await apart(lambda: threading.current_thread() is not threading.main_thread())
    with pytest.raises(ZeroDivisionError):
        await apart(lambda: 1 // 0)


async def test_who_is_cancelled_waits_no_longer() -> None:
    begun, may_end, over = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        may_end.wait(PATIENCE)
        over.set()

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(apart(hang))
        await asyncio.to_thread(begun.wait, PATIENCE)
        waiting.cancel()
    assert not over.is_set()
    may_end.set()
    assert await asyncio.to_thread(over.wait, PATIENCE)


def test_a_loop_that_has_ended_is_told_nothing(recwarn: pytest.WarningsRecorder) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        may_end.wait(PATIENCE)

    async def begin() -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(apart(hang))
            await asyncio.to_thread(begun.wait, PATIENCE)
            waiting.cancel()

    asyncio.run(begin())
    (thread,) = [each for each in threading.enumerate() if each.name == "apart"]
    may_end.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not list(recwarn)
