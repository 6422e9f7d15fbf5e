"""All companions of a broker: started and stopped as the settings say, and started anew when one of them fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from choria_broker.companions.metrics import GAUGES, totals
from choria_broker.companions.reports import CompanionReport, SideReport, State
from choria_broker.companions.spec import Key, Share, Spec
from choria_broker.companions.tally import Labels, Totals
from choria_broker.engine.bridge import WayIn
from choria_broker.errors import CompanionsGivenUpError, NotReadyError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.streams.backoff import pause

if TYPE_CHECKING:
    from choria_broker.companions.channel import Report
    from choria_broker.companions.process import CompanionProcess

DRAIN = 5.0
"""Seconds that a companion has for what it has in hand when it stops."""

MOST_ENDS = 10
"""How often in a row a process may end within ``SETTLED`` of its start before it is not started any more."""

SETTLED = 60.0
"""Seconds after which a process counts as started well."""

_AT_ONCE = 2
"""Processes of each core that may be between their start and their first word. More would keep each other from it."""

CHANGE_OVER = 10.0
"""Seconds in which a changed companion has to be connected everywhere; the one that it replaces goes on until then."""

_BEYOND_DRAIN = 5.0
"""Seconds for the way out of a process beside those for what it has in hand."""

_log = component("companion")


class Starts:
    """Bounds how many processes start at a time.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        """None starts."""
        self._places = asyncio.Semaphore(most)

    @contextlib.asynccontextmanager
    async def place(self, stopping: asyncio.Event) -> AsyncIterator[Callable[[], None]]:
        """Wait for a place, which is left at the end of the context at the latest; yields what leaves it before.

        Args:
            stopping: ends the wait; there is no place then.
        """
        async with asyncio.TaskGroup() as tasks:
            taken = tasks.create_task(self._places.acquire(), name="place to start")
            stopped = tasks.create_task(stopping.wait(), name="no place needed")
            await asyncio.wait({taken, stopped}, return_when=asyncio.FIRST_COMPLETED)
            taken.cancel()
            stopped.cancel()
        held = not taken.cancelled()

        def leave() -> None:
            nonlocal held
            if held:
                self._places.release()
            held = False

        try:
            yield leave
        finally:
            leave()


class Record(msgspec.Struct):
    """What is counted of a companion, whatever becomes of it: those that take its place go on with it.

    Attributes:
        totals: what its processes have counted.
        restarts: how often a process was started anew because it had ended by itself.
        lost: messages that were in hand when a process ended.
    """

    totals: Totals = msgspec.field(default_factory=Totals)
    restarts: int = 0
    lost: int = 0


class Companion:
    """One companion, with all its processes.

    Attributes:
        spec: what it is to be.
        record: what is counted of it.
    """

    def __init__(self, spec: Spec, way_in: Callable[[], WayIn | None], record: Record, starts: Starts) -> None:
        """Nothing runs yet."""
        self._starts = starts
        self.spec = spec
        self.record = record
        self._way_in = way_in
        self._wanted = min(spec.processes, len(os.sched_getaffinity(0)))
        self._processes: dict[int, CompanionProcess] = {}
        self._given_up: set[int] = set()
        self._problem = ""
        self._stopping = asyncio.Event()
        self._heard = asyncio.Event()

    @property
    def given_up(self) -> bool:
        """One of its processes is not started any more."""
        return bool(self._given_up)

    async def live(self) -> None:
        """Run it until it is stopped."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._wanted):
                name = f"{self.spec.key.words}, process {number}"
                tasks.create_task(self._kept(Share(number, self._wanted)), name=name)

    async def connected(self, patience: float) -> None:
        """Wait until all its processes are connected everywhere, or will not be, or the time is over.

        Args:
            patience: seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not (self._complete or self._given_up or self._stopping.is_set()):
                    self._heard.clear()
                    await self._heard.wait()

    @property
    def _complete(self) -> bool:
        heard = sum(each.report is not None for each in self._processes.values())
        state, _ = self._state(self.sides)
        return heard == self._wanted and state is State.RUNNING

    def stop(self, patience: float) -> None:
        """Have all its processes finish what they have in hand, and end; ``live`` returns then."""
        self._stopping.set()
        self._heard.set()
        for process in self._processes.values():
            process.stop(patience)

    def kill(self) -> None:
        """End its processes at once."""
        for process in self._processes.values():
            process.kill()

    async def _kept(self, share: Share) -> None:
        """Keep one process running, until it is stopped or given up."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            why = await self._lived(share)
            if self._stopping.is_set():
                return
            failures = 1 if time.monotonic() - began >= SETTLED else failures + 1
            self._problem = why
            if failures >= MOST_ENDS:
                self._given_up.add(share.number)
                self._heard.set()
                _log.error("Given up: it ends again and again", companion=self.spec.key.words, why=why)
                return
            self.record.restarts += 1
            wait = pause(failures, random.random)
            _log.error("It ended by itself and is started anew", companion=self.spec.key.words, why=why, after=wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stopping.wait()

    async def _lived(self, share: Share) -> str:
        """Run one process to its end, and tell what that was."""
        async with self._starts.place(self._stopping) as leave:
            if self._stopping.is_set():
                return ""
            try:
                process = _process().start(self.spec, share, self._way_in())
            except (OSError, NotReadyError) as error:
                return f"it cannot be started: {error}"
            self._processes[share.number] = process

            def told(report: Report) -> None:
                leave()
                self.record.totals.tell(process.pid, report.counts)
                self._heard.set()

            try:
                status = await process.ended(told)
            finally:
                del self._processes[share.number]
                self.record.totals.over(process.pid, GAUGES)
                self.record.lost += process.lost
        if process.lost:
            _log.warning("Messages are lost", companion=self.spec.key.words, messages=process.lost)
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        last = process.last_words.splitlines()[-1:]
        return f"{how}: {last[0]}" if last else how

    @property
    def sides(self) -> dict[str, SideReport]:
        """Its connections, by the network they lead to."""
        found: dict[str, SideReport] = {}
        for process in self._processes.values():
            if process.report:
                for name, side in process.report.sides.items():
                    found[name] = found.get(name, SideReport()) + side
        return found

    @property
    def report(self) -> CompanionReport:
        """How it is."""
        sides, key = self.sides, self.spec.key
        state, sentence = self._state(sides)
        received, published, errors = totals(key, self.record.totals.counts())
        return CompanionReport(
            kind=key.kind,
            name=key.name,
            state=state.value,
            sentence=sentence,
            processes=tuple(sorted(each.pid for each in self._processes.values())),
            restarts=self.record.restarts,
            sides=sides,
            received=received,
            published=published,
            errors=errors,
            lost=self.record.lost,
        )

    def _state(self, sides: Mapping[str, SideReport]) -> tuple[State, str]:
        words = self.spec.key.words
        if self._stopping.is_set():
            return State.STOPPING, f"{words} finishes what it has in hand"
        if self._given_up:
            return State.GIVEN_UP, f"{words} ends again and again and is not started any more: {self._problem}"
        if len(self._processes) < self._wanted and self._problem:
            return State.RESTARTING, f"{words} has ended by itself and is started anew: {self._problem}"
        for name, side in sides.items():
            if side.connected < side.wanted and side.problem:
                return State.WAITING, f"{words} is not connected to its {name} side: {side.problem}"
        if not sides or any(side.connected < side.wanted for side in sides.values()):
            return State.STARTING, f"{words} starts"
        return State.RUNNING, f"{words} runs"


def _process() -> type[CompanionProcess]:
    """Load what runs a process, when there is one to run."""
    from choria_broker.companions.process import CompanionProcess  # noqa: PLC0415 - most brokers have no companions

    return CompanionProcess


class _Left(msgspec.Struct, frozen=True):
    """What is left of a companion to the next program."""

    key: Key
    restarts: int
    lost: int
    counts: dict[str, list[tuple[Labels, float]]]


_LEFT = "companions"


class Companions:
    """All companions of one broker.

    Args:
        way_in: tells the way into the engine; it raises ``NotReadyError`` while there is none.
        grace: tells how many seconds an orderly stop may take.
        alone: there is nothing else that the process is for; it ends when all of them were given up.
    """

    def __init__(self, way_in: Callable[[], WayIn | None], grace: Callable[[], float], *, alone: bool) -> None:
        """There are none yet."""
        self._way_in = way_in
        self._grace = grace
        self._alone = alone
        self._wanted: tuple[Spec, ...] = ()
        self._afresh = False
        self._living: dict[Key, tuple[Companion, asyncio.Task[None]]] = {}
        self._replaced: list[tuple[Companion, asyncio.Task[None]]] = []
        self._records: dict[Key, Record] = {}
        self._starts = Starts(_AT_ONCE * len(os.sched_getaffinity(0)))
        self._news = asyncio.Event()

    def remember(self, succession: Succession) -> None:
        """Tell the next program what was counted."""
        left = [_Left(key, each.restarts, each.lost, each.totals.told()) for key, each in self._records.items()]
        succession.tell(_LEFT, left)

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has counted."""
        for left in succession.told(_LEFT, list[_Left]) or ():
            self._records[left.key] = record = Record(restarts=left.restarts, lost=left.lost)
            record.totals.tell(0, left.counts)
            record.totals.over(0, GAUGES)

    def apply(self, wanted: tuple[Spec, ...]) -> None:
        """Take over which there are to be; those that stay as they are go on undisturbed, unless they were given up."""
        self._wanted = wanted
        self._afresh = True
        self._news.set()

    @property
    def reports(self) -> tuple[CompanionReport, ...]:
        """How they are."""
        return tuple(companion.report for companion, _ in self._living.values())

    def counts(self) -> dict[str, dict[Labels, float]]:
        """Return everything that they count, by family and labels."""
        found: dict[str, dict[Labels, float]] = {}
        for record in self._records.values():
            for family, counts in record.totals.counts().items():
                found.setdefault(family, {}).update(counts)
        return found

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Have them run as long as the context lasts; on exit they are stopped in order.

        Raises:
            CompanionsGivenUpError: the process is there for them alone, and all were given up.
        """
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(self._keep(tasks), name="companions")
            try:
                yield
            finally:
                keeping.cancel()
                await self._stopped((*self._replaced, *self._living.values()))

    async def _keep(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._news.clear()
            wanted, afresh = {spec.key: spec for spec in self._wanted}, self._afresh
            self._afresh = False
            await self._stopped(tuple(each for key, each in self._living.items() if key not in wanted))
            for key, (companion, task) in tuple(self._living.items()):
                if wanted[key] != companion.spec or (afresh and companion.given_up):
                    self._replaced.append((companion, task))
                    del self._living[key]
            for key, spec in wanted.items():
                if key not in self._living:
                    self._start(spec, tasks)
            await self._changed_over()
            await self._news.wait()
            if self._alone and self._living and all(each.given_up for each, _ in self._living.values()):
                raise CompanionsGivenUpError(
                    "every adapter and the federation broker ended again and again; see the log"
                )

    def _start(self, spec: Spec, tasks: asyncio.TaskGroup) -> None:
        key = spec.key
        companion = Companion(spec, self._way_in, self._records.setdefault(key, Record()), self._starts)
        self._living[key] = companion, tasks.create_task(self._lived(companion), name=key.words)
        _log.info(f"Starting {key.words}")

    async def _changed_over(self) -> None:
        """Stop those that were replaced, once their successors are connected: they share the work until then."""
        async with asyncio.TaskGroup() as waits:
            for replaced, _ in self._replaced:
                successor, _ = self._living[replaced.spec.key]
                waits.create_task(successor.connected(CHANGE_OVER), name=f"change over to {replaced.spec.key.words}")
        await self._stopped(tuple(self._replaced))

    async def _lived(self, companion: Companion) -> None:
        await companion.live()
        self._news.set()

    async def _stopped(self, leaving: tuple[tuple[Companion, asyncio.Task[None]], ...]) -> None:
        """Stop some in order, together, within the grace; what they cannot finish by then is lost."""
        grace = self._grace()
        for companion, _ in leaving:
            companion.stop(min(DRAIN, max(0.5, grace - _BEYOND_DRAIN)))
        if leaving:
            tasks = {task for _, task in leaving}
            _, late = await asyncio.wait(tasks, timeout=min(DRAIN + _BEYOND_DRAIN, grace))
            for companion, task in leaving:
                if task in late:
                    _log.error("Killed, for it did not stop in time", companion=companion.spec.key.words)
                    companion.kill()
            if late:
                await asyncio.wait(late)
        for each in leaving:
            if each in self._replaced:
                self._replaced.remove(each)
            else:
                del self._living[each[0].spec.key]
            _log.info(f"Stopped {each[0].spec.key.words}")
