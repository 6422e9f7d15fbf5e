"""Putting a changed file in force in an engine played by the test."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from choria_broker.engine.renewal import Renewal
from choria_broker.errors import NotReadyError, ReloadError


class Engine:
    """Answers reloads.

    Attributes:
        file: the file.
        seen: what was in the file at each reload.
        answers: what it will say; an error is raised.
    """

    def __init__(self, *answers: str | Exception) -> None:
        self.file = "first"
        self.seen: list[str] = []
        self.answers = list(answers)

    def write(self, text: str) -> None:
        self.file = text

    async def reload(self, deadline: float) -> str:
        assert deadline == 3.0
        self.seen.append(self.file)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def renewal(engine: Engine) -> Renewal:
    return Renewal(engine, engine.write, "first", 3.0)


async def test_what_the_engine_takes_over_stays() -> None:
    engine = Engine("", "")
    changes = renewal(engine)
    await changes.put_in_force("second")
    await changes.put_in_force("third")
    assert (engine.seen, engine.file) == (["second", "third"], "third")


async def test_what_the_engine_refuses_makes_way_for_what_is_in_force() -> None:
    engine = Engine("", "no syntax", "")
    changes = renewal(engine)
    await changes.put_in_force("second")
    with pytest.raises(ReloadError, match="no syntax; nothing has changed"):
        await changes.put_in_force("bad")
    assert engine.file == "second"
    await changes.put_in_force("third")
    assert engine.file == "third"


async def test_of_an_engine_that_says_nothing_nothing_is_known() -> None:
    engine = Engine(NotReadyError("silence"))
    with pytest.raises(NotReadyError, match="silence"):
        await renewal(engine).put_in_force("second")
    assert engine.file == "second"


async def test_one_change_at_a_time() -> None:
    changes, order, outcomes = renewal(Engine()), [], Counter[str]()

    async def change(name: str) -> None:
        async with changes.alone(outcomes):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    await asyncio.gather(change("a"), change("b"))
    assert order == ["a begins", "a ends", "b begins", "b ends"]
    assert outcomes == {"applied": 2}


async def test_outcomes_are_counted() -> None:
    engine, outcomes = Engine("", "no syntax"), Counter[str]()
    changes = renewal(engine)
    async with changes.alone(outcomes):
        await changes.put_in_force("second")
    for error in (ReloadError("x"), OSError("x")):
        with pytest.raises(type(error)):
            async with changes.alone(outcomes):
                raise error
    assert outcomes == {"applied": 1, "refused": 2}
