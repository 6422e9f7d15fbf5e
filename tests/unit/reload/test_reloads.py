"""The one owner of reloads: who is merged with whom, and that everybody hears what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from choria_broker.errors import ConfigurationError, NotReadyError, ReloadError
from choria_broker.host.facts import FileFact
from choria_broker.reload.desired import desire
from choria_broker.reload.in_force import Step
from choria_broker.reload.plan import plan
from choria_broker.reload.reloads import Outcome, Reloads
from choria_broker.security.keys import ed25519_verifies
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.status.reloads import Trigger
from support.scenario import net

FINDING = Finding(severity=Severity.REFUSE, code=Code.ENGINE_MISSING, problem="it is wrong", remedy="put it right")
SIGNAL, COMMAND = Trigger("signal", "SIGHUP"), Trigger("command", "root (uid 0)")


class State:
    """Has a state in force. Each reload waits until it may end, and then does what the test says."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.state = desire(net().ok, (), ed25519_verifies, generation=1)
        self.next = desire(net("client_hosts = 10.0.0.0/8").ok, (), ed25519_verifies, generation=2)
        self.looked_at: dict[Path, FileFact] = {}
        self.outcomes = list(outcomes)
        self.begun = asyncio.Semaphore(0)
        self.may_end = asyncio.Semaphore(0)
        self.taken = 0
        self.restored = asyncio.Event()
        self.files: list[tuple[tuple[Path, ...], bool]] = []

    async def prepare(self) -> Step:
        self.begun.release()
        await self.may_end.acquire()
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome:
            raise outcome
        return Step(self.next, plan(self.state, self.next), ())

    async def prepare_files(self, paths: tuple[Path, ...], *, engine: bool) -> Step:
        self.files.append((paths, engine))
        return await self.prepare()

    async def take(self, step: Step, _engine: object) -> None:
        self.state = step.state
        self.taken += 1

    async def restore(self, _engine: object) -> None:
        self.restored.set()


class Answering:
    """An engine."""

    async def answers(self) -> None:
        pass


@contextlib.asynccontextmanager
async def owned(state: State) -> AsyncIterator[Reloads]:
    async def after() -> None:
        pass

    reloads = Reloads(state, Answering(), after)  # type: ignore[arg-type] # as far as it is used
    reloads.settling = 0
    async with asyncio.timeout(10), reloads.served():
        yield reloads


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_requests_during_a_reload_become_one_more_and_all_hear_of_it() -> None:
    state = State()
    async with owned(state) as reloads, asyncio.TaskGroup() as tasks:
        reloads.want(SIGNAL)
        await state.begun.acquire()
        asked = [tasks.create_task(reloads.ask(COMMAND)) for _ in range(5)]
        await settled()
        for _ in range(3):
            reloads.want(SIGNAL)
        state.may_end.release()
        await state.begun.acquire()
        state.may_end.release()
        outcomes = [await each for each in asked]
        assert all(each is outcomes[0] for each in outcomes)
        assert outcomes[0].report.asked_by == "command of root (uid 0), signal SIGHUP"
        assert state.taken == 2
        assert state.begun.locked()


async def test_a_request_from_before_it_began_counts() -> None:
    state = State()
    state.may_end.release()
    reloads = Reloads(state, None, asyncio.Event().wait)  # type: ignore[arg-type] # as far as it is used
    reloads.want(SIGNAL)
    with pytest.raises(NotReadyError):
        await reloads.ask(COMMAND)
    async with asyncio.timeout(10), reloads.served():
        await state.begun.acquire()


async def test_a_trial_is_for_itself_and_changes_nothing() -> None:
    state = State(None, ConfigurationError((FINDING,)))
    state.may_end.release()
    async with owned(state) as reloads:
        report = (await reloads.ask(COMMAND, dry_run=True)).report
        assert (report.result, report.dry_run, [each.new for each in report.changes]) == (
            "applied",
            True,
            ["10.0.0.0/8"],
        )
        state.may_end.release()
        report = (await reloads.ask(COMMAND, dry_run=True)).report
        assert (report.result, [each.code for each in report.findings]) == ("refused", ["engine-missing"])
        assert (state.taken, reloads.latest, reloads.outcomes.total()) == (0, None, 0)


async def test_files_are_read_on_their_own() -> None:
    state = State()
    state.may_end.release()
    async with owned(state) as reloads:
        report = (await reloads.ask_files((Path("/a"), Path("/b")), engine=False)).report
    assert state.files == [((Path("/a"), Path("/b")), False)]
    assert report.asked_by == "changed files /a, /b"


@pytest.mark.parametrize(
    ("outcome", "level", "line"),
    [
        (None, logging.INFO, "Reloaded the configuration"),
        (ConfigurationError((FINDING,)), logging.ERROR, "Reload refused, nothing has changed"),
        (ReloadError("the engine rejected the change"), logging.WARNING, "the engine rejected the change"),
        (NotReadyError("the broker is not running"), logging.ERROR, "Reload failed"),
        (OSError(28, "No space left on device"), logging.ERROR, "Reload failed"),
        (LookupError("a fault"), logging.ERROR, "Reload failed"),
    ],
)
async def test_what_came_of_it_is_logged_once_with_one_line_of_audit_and_the_next_one_is_served(
    caplog: pytest.LogCaptureFixture, outcome: Exception | None, level: int, line: str
) -> None:
    state = State(outcome, None)
    with caplog.at_level(logging.INFO, "choria_broker"):
        async with owned(state) as reloads:
            state.may_end.release()
            found = await reloads.ask(COMMAND)
            assert (found.error, bool(reloads.refusal)) == (outcome, outcome is not None)
            state.may_end.release()
            assert (await reloads.ask(SIGNAL)).error is None
            assert not reloads.refusal
    assert (line, level) in [(record.getMessage(), record.levelno) for record in caplog.records]
    acts = [record for record in caplog.records if record.name == "choria_broker.audit"]
    assert [record.__dict__["by"] for record in acts] == ["command of root (uid 0)", "signal SIGHUP"]
    assert [record.__dict__["act"] for record in acts] == ["reload", "reload"]


async def test_who_waits_when_the_broker_stops_is_told() -> None:
    state = State()
    async with asyncio.TaskGroup() as tasks, owned(state) as reloads:
        asked: list[asyncio.Task[Outcome]] = [tasks.create_task(_given_up(reloads)) for _ in range(2)]
        await state.begun.acquire()
        asked.append(tasks.create_task(_given_up(reloads)))
        await settled()
    assert all(each.done() for each in asked)


async def _given_up(reloads: Reloads) -> Outcome:
    with pytest.raises(NotReadyError, match="stopping"):
        await reloads.ask(COMMAND)
    return None  # type: ignore[return-value] # nobody looks


async def test_an_engine_that_did_not_say_what_came_of_it_gets_once_more_what_is_in_force() -> None:
    state = State(NotReadyError("silence"))
    state.may_end.release()
    async with owned(state) as reloads:
        assert (await reloads.ask(COMMAND)).report.result == "refused"
        await state.restored.wait()
