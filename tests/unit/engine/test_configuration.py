"""Putting a changed file in force in an engine played by the test."""

from __future__ import annotations

import pytest

from choria_broker.engine.configuration import Configuration
from choria_broker.engine.gate import frames
from choria_broker.errors import NotReadyError, ReloadError
from support.fake_engine import HELLO


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

    async def reload(self, hello: frames.Hello, deadline: float) -> str:
        assert (hello, deadline) == (HELLO, 3.0)
        self.seen.append(self.file)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def revoke(self, file: str, deadline: float) -> str:
        assert deadline == 3.0
        return await self.reload(HELLO, deadline) if file == "revoked" else "no such file"


def configuration(engine: Engine) -> Configuration:
    return Configuration(engine, engine.write, "first", 3.0)


async def test_what_the_engine_takes_over_stays() -> None:
    engine = Engine("", "")
    changes = configuration(engine)
    await changes.apply("second", HELLO)
    await changes.apply("third", HELLO)
    assert (engine.seen, engine.file) == (["second", "third"], "third")


async def test_what_the_engine_refuses_makes_way_for_what_is_in_force() -> None:
    engine = Engine("", "no syntax", "")
    changes = configuration(engine)
    await changes.apply("second", HELLO)
    with pytest.raises(ReloadError, match="no syntax; nothing has changed"):
        await changes.apply("bad", HELLO)
    assert engine.file == "second"
    await changes.apply("third", HELLO)
    assert engine.file == "third"


async def test_an_engine_that_says_nothing_finds_what_is_in_force_when_it_goes_on() -> None:
    engine = Engine(NotReadyError("silence"))
    with pytest.raises(NotReadyError, match="silence"):
        await configuration(engine).apply("second", HELLO)
    assert (engine.seen, engine.file) == (["second"], "first")


async def test_what_is_revoked_leaves_the_file_alone() -> None:
    engine = Engine("", "no list")
    changes = configuration(engine)
    await changes.revoke("revoked")
    with pytest.raises(ReloadError, match="no list"):
        await changes.revoke("revoked")
    assert engine.file == "first"
