"""Work beside other work."""

from __future__ import annotations

import asyncio

import pytest

from choria_broker.background import beside, happened


async def forever(ended: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        ended.set()


async def fail() -> None:
    raise ValueError("of the work")


async def test_it_ends_with_the_context() -> None:
    ended = asyncio.Event()
    async with beside(forever(ended), "a name") as task:
        assert task.get_name() == "a name"
        await asyncio.sleep(0)
    assert task.cancelled()
    assert ended.is_set()


async def test_what_it_came_to_can_be_had() -> None:
    async with beside(asyncio.sleep(0, "a result"), "result") as task:
        assert await task == "a result"


async def test_its_error_ends_the_context() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        async with beside(fail(), "failing"):
            await asyncio.Event().wait()
    assert raised.group_contains(ValueError, match="of the work")


async def test_an_error_of_the_context_ends_it() -> None:
    ended = asyncio.Event()
    with pytest.raises(ExceptionGroup) as raised:
        async with beside(forever(ended), "going on"):
            await asyncio.sleep(0)
            raise ValueError("of the context")
    assert raised.group_contains(ValueError, match="of the context")
    assert ended.is_set()


async def test_a_wait_ends_with_what_is_waited_for_or_with_its_time() -> None:
    event = asyncio.Event()
    assert not await happened(event, 0.001)
    async with beside(happened(event, 60.0), "waiting") as waiting:
        event.set()
        assert await waiting
    assert await happened(event, 0.0)
