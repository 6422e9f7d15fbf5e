"""All companions of one broker: started, changed over and stopped as the settings want them.

One task, ``_keep``, has what is wanted come about, again after each ``apply`` and each end: first those are stopped
that nobody wants any more, then missing ones are started. One that is to be otherwise is replaced: the new one is
started beside it, both share the work by their queue groups, and the old one is stopped once the new one is connected
everywhere, or after some time (``CHANGE_OVER``). So no message waits for it, and what stays alike is not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

import msgspec

from choria_broker.companions.companion import Companion, Record, Starts
from choria_broker.companions.metrics import GAUGES
from choria_broker.companions.reports import CompanionReport
from choria_broker.companions.spec import Key, Spec
from choria_broker.companions.tally import Labels
from choria_broker.engine.bridge import WayIn
from choria_broker.errors import CompanionsGivenUpError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.settings.network import Network

DRAIN = 5.0
"""Seconds that a companion has for what it has in hand when it stops."""

_AT_ONCE = 2
"""Processes of each core that may be between their start and their first word. More would keep each other from it."""

CHANGE_OVER = 10.0
"""Seconds in which a changed companion has to be connected everywhere; the one that it replaces goes on until then."""

_BEYOND_DRAIN = 5.0
"""Seconds for the way out of a process beside those for what it has in hand."""

_log = component("companion")


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
        network: tells the settings in force, which say how many seconds an orderly stop may take.
        alone: there is nothing else that the process is for; it ends when all of them were given up.
    """

    def __init__(self, way_in: Callable[[], WayIn | None], network: Callable[[], Network], *, alone: bool) -> None:
        """There are none yet."""
        self._way_in = way_in
        self._network = network
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
        grace = self._network().soft_shutdown_timeout
        for companion, _ in leaving:
            companion.stop(min(DRAIN, max(0.5, grace - _BEYOND_DRAIN)))
        if leaving:
            tasks = {task for _, task in leaving}
            _, late = await asyncio.wait(tasks, timeout=min(DRAIN + _BEYOND_DRAIN, grace))
            for companion, task in leaving:
                if task in late:
                    _log.error("Killed because it did not stop in time", companion=companion.spec.key.words)
                    companion.kill()
            if late:
                await asyncio.wait(late)
        for each in leaving:
            if each in self._replaced:
                self._replaced.remove(each)
            else:
                del self._living[each[0].spec.key]
            _log.info(f"Stopped {each[0].spec.key.words}")
