"""Reloads of a running broker, one after the other, whoever asks for them.

    asked      ``want`` (nobody waits), ``ask`` (somebody does), a dry run, or some files alone (``ask_files``). All
               that asks for everything before the next turn is one job; each of the others is a job of its own.
    its turn   one job at a time; an upgrade, and a second try, hold ``_turn`` to have the state in force stay as it is.
    stepping   read, plan, take (``in_force``). As long as something is wrong with files that are just being replaced,
               it is done anew, for ``settling`` seconds; whoever watches files has a longer patience of its own.
    over       everybody who waits has the outcome, which is an error or not: a job raises nothing.
    given up   at the end of the broker: what was asked for and not done is left to the next program, if there is one.

When the engine did not say in time what came of a change, it is not known what it has. ``restoring`` gives it the state
in force once more as soon as it answers, before the next job or after it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from choria_broker.audit.acts import ActBook
from choria_broker.background import beside, happened
from choria_broker.config.surroundings.facts import FileGroup
from choria_broker.errors import BrokerError, ConfigurationError, NotReadyError, ReloadError
from choria_broker.host.succession import Succession
from choria_broker.log.findings import log_findings
from choria_broker.log.structured import component
from choria_broker.reload.in_force import Changeable, InForce, Step
from choria_broker.reload.plan import changed_settings, pending, pending_restarts
from choria_broker.reload.restoring import AGAIN, Restoring
from choria_broker.reload.settling import settled
from choria_broker.settings.findings import Finding
from choria_broker.stats.families import Values
from choria_broker.status.reloads import REFUSED, RESULTS, UNCHANGED, FileProblem, ReloadReport, Trigger, reported
from choria_broker.values import replace
from choria_broker.wording import sentence

SETTLING = 2.0
"""Seconds for which a reload waits for files that are just being replaced."""

_log = component("broker")


class Outcome(msgspec.Struct, frozen=True):
    """What came of a reload.

    Attributes:
        report: for people.
        findings: what was found.
        error: why nothing has changed, None when it has.
    """

    report: ReloadReport
    findings: tuple[Finding, ...] = ()
    error: Exception | None = None


class _Job(msgspec.Struct, frozen=True):
    """A reload to come.

    Attributes:
        triggers: what asks for it.
        waiting: who waits for what comes of it.
        dry_run: nothing is to change.
        files: only these are read; None for everything.
        engine: the engine reads them too.
        quiet: tells of a reason to change nothing whether nothing is to be said about it.
        recorded: it is an act of its own; who asks writes down another one.
    """

    triggers: list[Trigger] = msgspec.field(default_factory=list)
    waiting: list[asyncio.Future[Outcome]] = msgspec.field(default_factory=list)
    dry_run: bool = False
    files: tuple[Path, ...] | None = None
    engine: bool = True
    quiet: Callable[[str], bool] = lambda _why: False
    recorded: bool = True

    def over(self, outcome: Outcome) -> None:
        for each in self.waiting:
            if not each.done():
                each.set_result(outcome)

    def given_up(self, why: str) -> None:
        for each in self.waiting:
            if not each.done():
                each.set_exception(NotReadyError(why))


class _Left(msgspec.Struct):
    """What is left to the next program."""

    outcomes: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)
    latest: ReloadReport | None = None
    last_success: float = 0.0
    given_up: list[Trigger] = msgspec.field(default_factory=list)


_LEFT = "reloads"


class Reloads:
    """The one owner of reloads. Requests that come while one is under way become one more.

    Attributes:
        settling: seconds for which a reload waits for files that are just being replaced.
        around: entered for the time of each reload; a service tells its manager there.
        outcomes: how many there were, by what became of them.
        latest: what came of the last one, None before the first.
        last_success: when the last one ended that was not refused, Unix seconds; the start counts as one.
        refusal: why the last one of the whole configuration changed nothing, empty when it was not refused.
        not_used: what is wrong with files that were changed and cannot be used; whoever watches them enters it.
        given_up: what asked for those that were not done before the end.
        farewell: why they were not, one sentence without its full stop.
    """

    def __init__(
        self,
        in_force: InForce,
        engine: Changeable,
        after: Callable[[], Awaitable[int]],
        book: ActBook | None = None,
    ) -> None:
        """Nothing is wanted yet.

        Args:
            in_force: the state in force.
            engine: takes over what concerns it.
            after: called after each reload that changed something; it returns how many sessions it has ended.
            book: takes down what operators do.
        """
        self._book = book or ActBook()
        self._in_force = in_force
        self._engine = engine
        self._after = after
        self.settling = SETTLING
        self._next = _Job()
        self._others: list[_Job] = []
        self._asked = asyncio.Event()
        self._serving = False
        self._turn = asyncio.Lock()
        self._restoring = Restoring(in_force, engine)
        self.around: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
        self.outcomes = collections.Counter(dict.fromkeys(RESULTS, 0))
        self.latest: ReloadReport | None = None
        self.last_success = time.time()
        self.refusal = ""
        self.not_used: dict[FileGroup, FileProblem] = {}
        self.given_up: list[Trigger] = []
        self.farewell = "the broker is stopping"

    @property
    def watched(self) -> tuple[Path, ...]:
        """Files that are watched."""
        return tuple(self._in_force.state.files)

    @property
    def figures(self) -> Mapping[str, Values]:
        """What metrics show; of a changed file that cannot be used, a certificate and its key are seen as one."""
        return {
            "reloads": self.outcomes,
            "reload_success": self.last_success,
            "reload_failed": bool(self.refusal),
            "watched_files": len(self.watched),
            "bad_files": dict.fromkeys((file for each in self.not_used.values() for file in each.files), 1.0),
        }

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """Changed files that cannot be used, and why."""
        return tuple(self.not_used.values())

    @contextlib.asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Wait until no reload is under way, and keep others waiting as long as the context lasts."""
        async with self._turn:
            yield

    def remember(self, succession: Succession) -> None:
        """Tell the next program what became of reloads, and which ones it has to do."""
        succession.tell(_LEFT, _Left(self.outcomes, self.latest, self.last_success, self.given_up))

    def recall(self, succession: Succession) -> None:
        """Go on where the program before has stopped."""
        left = succession.told(_LEFT, _Left)
        if left:
            self.outcomes.update(left.outcomes)
            self.latest, self.last_success = left.latest, left.last_success
            for trigger in left.given_up:
                self.want(trigger)

    def want(self, trigger: Trigger) -> None:
        """Ask for a reload, in the event loop; returns at once. One that is wanted before the start comes after it."""
        if trigger not in self._next.triggers:
            self._next.triggers.append(trigger)
        self._asked.set()

    async def ask(self, trigger: Trigger, *, dry_run: bool = False) -> Outcome:
        """Ask for a reload, and wait for what comes of it.

        Args:
            trigger: what asks.
            dry_run: tell what would come of it, and change nothing.

        Raises:
            NotReadyError: the broker does not run, or is stopping.
        """
        if dry_run:
            return await self._waited(_Job([trigger], dry_run=True))
        waiting = self._future()
        self._next.waiting.append(waiting)
        self.want(trigger)
        return await waiting

    async def ask_files(
        self,
        files: tuple[Path, ...],
        *,
        engine: bool,
        quiet: Callable[[str], bool] = lambda _why: False,
        recorded: bool = True,
    ) -> Outcome:
        """Ask for a reload of some of the files that the configuration names; see ``InForce.prepare_files``.

        Args:
            files: the files.
            engine: the engine reads them too.
            quiet: tells of a reason to change nothing whether nothing is to be said about it, or counted.
            recorded: write it down as an act; False where it is a part of another one.

        Raises:
            NotReadyError: the broker does not run, or is stopping.
        """
        trigger = Trigger("file", files=tuple(map(str, files)))
        return await self._waited(_Job([trigger], files=files, engine=engine, quiet=quiet, recorded=recorded))

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Reload whenever that is wanted, as long as the context lasts."""
        async with beside(self._serve(), "reloads"):
            self._serving = True
            try:
                yield
            finally:
                self._serving = False

    def _future(self) -> asyncio.Future[Outcome]:
        if not self._serving:
            raise NotReadyError("the broker is not running")
        return asyncio.get_running_loop().create_future()

    async def _waited(self, job: _Job) -> Outcome:
        job.waiting.append(self._future())
        self._others.append(job)
        self._asked.set()
        return await job.waiting[0]

    async def _serve(self) -> None:
        jobs: list[_Job] = []
        try:
            while True:
                await self._wanted()
                self._asked.clear()
                jobs = self._taken()
                while jobs:
                    async with self._turn:
                        jobs[0].over(await self._done(jobs[0]))
                    jobs.pop(0)
        finally:
            for job in (*jobs, *self._taken()):
                job.given_up(self.farewell)
                self.given_up += [] if job.dry_run else job.triggers

    async def _wanted(self) -> None:
        """Wait until somebody asks for a reload."""
        while self._restoring.owed and not self._asked.is_set():
            await self._restoring.attempt(self._turn)
            await happened(self._asked, AGAIN)
        await self._asked.wait()

    def _taken(self) -> list[_Job]:
        taken = [*([self._next] if self._next.triggers else []), *self._others]
        self._next, self._others = _Job(), []
        return taken

    async def _done(self, job: _Job) -> Outcome:
        """Do what is wanted, whatever comes of it."""
        if job.dry_run:
            return await self._tried(job)
        # Of files that change now and then the service manager need not know.
        with self.around() if job.files is None else contextlib.nullcontext():
            outcome = await self._tried(job)
        report = outcome.report
        if report.result == REFUSED and job.quiet(report.why):
            return outcome
        if job.files is None:
            self.refusal = report.why
        self.outcomes[report.result] += 1
        self.latest = report
        if report.result != REFUSED:
            self.last_success = time.time()
        _log_outcome(outcome, accounts=self._accounts())
        if job.recorded:
            self._book.record("reload", report.asked_by, report.sentence, **({"why": report.why} if report.why else {}))
        return outcome

    async def _tried(self, job: _Job) -> Outcome:
        began, clock = time.time(), time.perf_counter()
        step: Step | None = None
        error: Exception | None = None
        try:
            step = await self._stepped(job)
        except (BrokerError, OSError) as problem:
            error = problem
        except Exception as problem:  # noqa: BLE001 - a change of the configuration must never end the broker
            _log.exception("Reload failed")
            error = problem
        if not job.dry_run:
            self._restoring.reloaded(error, whole=step is not None and step.engine)
        report = ReloadReport(
            time=began,
            seconds=round(time.perf_counter() - clock, 3),
            triggers=tuple(job.triggers),
            dry_run=job.dry_run,
            pending=pending_restarts(pending(self._in_force.state)),
        )
        return _refused(report, error) if step is None else _taken_over(report, step)

    async def _stepped(self, job: _Job) -> Step:
        """Prepare and take the step; while files are being replaced, wait and begin anew."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settling
        while True:
            try:
                if job.files is None:
                    step = await self._in_force.prepare()
                else:
                    step = await self._in_force.prepare_files(job.files, engine=job.engine)
                if not job.dry_run:
                    await self._in_force.take(step, self._engine)
                    step = replace(step, ended=await self._after())
            except (ConfigurationError, ReloadError):
                # Files that are watched have their own, longer patience.
                if job.files is not None or not await settled(self._in_force.looked_at, until):
                    raise
            else:
                return step

    def _accounts(self) -> int | None:
        operator = self._in_force.state.settings.network.operator
        return len(operator.accounts) if operator else None


def _taken_over(report: ReloadReport, step: Step) -> Outcome:
    changed = replace(
        report,
        result=step.plan.result,
        findings=reported(step.findings),
        changes=changed_settings(step.plan.changes),
        files=tuple(map(str, step.plan.files)),
        others=step.plan.others,
        ended=step.ended,
        pending=pending_restarts(step.plan.pending),
    )
    return Outcome(changed, step.findings)


def _refused(report: ReloadReport, error: Exception | None) -> Outcome:
    if isinstance(error, ConfigurationError):
        return Outcome(replace(report, result=REFUSED, findings=reported(error.findings)), error.findings, error)
    known = isinstance(error, BrokerError | OSError)
    reason = sentence(str(error)) if known else "the broker failed, see its log"
    return Outcome(replace(report, result=REFUSED, reason=reason), (), error)


def _log_outcome(outcome: Outcome, accounts: int | None) -> None:
    report, error = outcome.report, outcome.error
    log_findings(outcome.findings)
    if isinstance(error, ReloadError):
        _log.warning(str(error))
    elif isinstance(error, ConfigurationError):
        _log.error("Reload refused, nothing has changed")
    elif error is not None:
        _log.error("Reload failed", why=report.reason)
    elif report.result == UNCHANGED:
        _log.info("Reloaded, nothing had changed")
    elif accounts is not None:
        _log.info("Reloaded the accounts of the operator", accounts=accounts)
    elif report.triggers[0].files:
        _log.info("Reloaded files that have changed")
    else:
        _log.info("Reloaded the configuration")
