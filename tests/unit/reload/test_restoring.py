"""An engine that did not say what came of a reload has what is in force in the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from choria_broker.errors import BrokerError, NotReadyError, ReloadError
from choria_broker.reload.restoring import Restoring


class Engine:
    """Answers, or does not, as the test says; each of what it raises counts once."""

    def __init__(self, *answers: BrokerError | OSError | None) -> None:
        self.answers_to_come = list(answers)
        self.restored = 0

    async def answers(self) -> None:
        self._next()

    async def restore(self, _engine: object) -> None:
        self._next()
        self.restored += 1

    def _next(self) -> None:
        if self.answers_to_come and (answer := self.answers_to_come.pop(0)):
            raise answer


def restoring(engine: Engine) -> Restoring:
    return Restoring(engine, engine)  # type: ignore[arg-type] # as far as it is used


SILENT = NotReadyError("silent")


async def test_what_is_not_known_is_owed_until_the_engine_has_taken_over_a_whole() -> None:
    engine = Engine(SILENT, None, SILENT)
    owing = restoring(engine)
    owing.reloaded(SILENT, whole=False)
    owing.reloaded(ReloadError("refused"), whole=False)
    owing.reloaded(None, whole=False)
    assert owing.owed
    for _ in range(2):  # It does not answer; then it does, and stands still again.
        await owing.attempt(contextlib.nullcontext())
        assert (owing.owed, engine.restored) == (True, 0)
    await owing.attempt(contextlib.nullcontext())
    assert (owing.owed, engine.restored) == (False, 1)


async def test_a_reload_that_comes_first_is_enough() -> None:
    engine = Engine()
    owing = restoring(engine)
    owing.reloaded(SILENT, whole=False)
    turn = asyncio.Lock()
    async with asyncio.TaskGroup() as tasks, turn:
        tasks.create_task(owing.attempt(turn))
        await asyncio.sleep(0)
        owing.reloaded(None, whole=True)
    assert (owing.owed, engine.restored) == (False, 0)


async def test_what_keeps_it_from_that_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "choria_broker")
    engine = Engine(None, ReloadError("no certificate"), None, ReloadError("no certificate"), None, OSError("full"))
    owing = restoring(engine)
    owing.reloaded(SILENT, whole=False)
    for _ in range(4):
        await owing.attempt(contextlib.nullcontext())
    assert not owing.owed
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
