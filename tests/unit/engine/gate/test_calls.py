"""Calls to an engine played by the test."""

from __future__ import annotations

import asyncio

import pytest

from choria_broker.engine.gate.calls import Calls
from choria_broker.errors import NotReadyError

DEADLINE = 5.0


async def test_each_answer_goes_to_its_call() -> None:
    calls: Calls[str] = Calls()
    sent: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(calls.make(sent.append, DEADLINE, "it")) for _ in range(3)]
        await asyncio.sleep(0)
        assert sent == [1, 2, 3]
        assert all(calls.answer(number, f"answer {number}") for number in reversed(sent))
        assert calls.answer(1, "a second answer")
    assert [each.result() for each in made] == ["answer 1", "answer 2", "answer 3"]


async def test_a_call_that_is_not_answered_in_time_is_given_up_and_its_answer_dropped() -> None:
    calls: Calls[str] = Calls(most=1)
    with pytest.raises(NotReadyError, match="did not report the result of the reload within 0 s"):
        await calls.make(lambda _number: None, 0.01, "the reload")
    assert calls.answer(1, "too late")
    assert await calls.make(lambda number: calls.answer(number, "in time"), DEADLINE, "the reload") == "in time"


async def test_more_calls_than_may_wait_are_not_made() -> None:
    calls: Calls[str] = Calls(most=2)
    sent: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(calls.make(sent.append, DEADLINE, "it"))
        await asyncio.sleep(0)
        with pytest.raises(NotReadyError, match="already has 2 unanswered calls"):
            await calls.make(sent.append, DEADLINE, "it")
        assert sent == [1, 2]
        for number in sent:
            calls.answer(number, "done")


async def test_calls_that_wait_when_the_engine_ends_fail() -> None:
    calls: Calls[str] = Calls()
    with pytest.raises(NotReadyError, match="the engine ended before it reported the result of it"):
        await calls.make(lambda _number: calls.end(), DEADLINE, "it")


async def test_a_call_that_cannot_be_sent_waits_for_nothing() -> None:
    calls: Calls[str] = Calls(most=1)

    def fails(_number: int) -> None:
        raise OSError("no gate")

    for _ in range(2):
        with pytest.raises(OSError, match="no gate"):
            await calls.make(fails, DEADLINE, "it")


@pytest.mark.parametrize("number", [-1, 0, 1, 2**63])
def test_an_answer_to_a_call_that_was_never_made_is_told_apart(number: int) -> None:
    assert not Calls[str]().answer(number, "x")
