"""One companion: its processes are started, and started anew when they end by themselves, until they are given up.

    starting    processes wait for a place, since only a few start at a time, and leave it with their first report.
    running     all of them have told that they are connected everywhere.
    waiting     some connection does not come about; the process tries by itself, see ``links``.
    restarting  a process has ended; another takes its place after a pause that grows with each end in a row.
    given up    one ended ten times in a row within a minute of its start; a reload tries it again.
    stopping    all are told to finish what they have in hand, and killed after the grace.

The state is not kept but read from the processes and their last reports, the first from below that applies.
What is counted is kept apart, in the ``Record``: it outlives processes, and companions that take one's place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from choria_broker.background import happened
from choria_broker.backoff import pause
from choria_broker.companions.metrics import GAUGES, totals
from choria_broker.companions.reports import CompanionReport, SideReport, State
from choria_broker.companions.spec import Share, Spec
from choria_broker.companions.tally import Totals
from choria_broker.engine.bridge import WayIn
from choria_broker.errors import NotReadyError
from choria_broker.log.structured import component

if TYPE_CHECKING:
    from choria_broker.companions.channel import Report
    from choria_broker.companions.process import CompanionProcess

MOST_ENDS = 10
"""How often in a row a process may end within ``SETTLED`` of its start before it is not started any more."""

SETTLED = 60.0
"""Seconds after which a process counts as started well."""

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
                _log.error("Given up: a process ends again and again", companion=self.spec.key.words, why=why)
                return
            self.record.restarts += 1
            wait = pause(failures, random.random)
            _log.error("A process ended by itself and is restarted", companion=self.spec.key.words, why=why, after=wait)
            await happened(self._stopping, wait)

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
        """Its connections, by network."""
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
            return State.STOPPING, f"{words} finishes the messages that it has accepted"
        if self._given_up:
            return State.GIVEN_UP, f"{words} ended again and again and is not restarted: {self._problem}"
        if len(self._processes) < self._wanted and self._problem:
            return State.RESTARTING, f"{words} ended by itself and is restarted: {self._problem}"
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
