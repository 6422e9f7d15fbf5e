"""Looks at the files that the configuration names, and has those read that have changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from choria_broker.background import beside
from choria_broker.config.surroundings.facts import FileGroup
from choria_broker.errors import NotReadyError
from choria_broker.host.files import marks_of
from choria_broker.log.structured import component
from choria_broker.reload.in_force import InForce
from choria_broker.reload.reloads import Reloads
from choria_broker.reload.watching import Decision, Marks, Watch
from choria_broker.status.reloads import FileProblem

_log = component("broker")


class Pace(msgspec.Struct, frozen=True):
    """How often files are looked at; tests inject others.

    Attributes:
        look: seconds between two looks.
        patience: seconds that somebody has for a change of several files, or of a large one.
    """

    look: float = 10.0
    patience: float = 30.0


class FileWatcher:
    """Watches files as long as a broker runs.

    Attributes:
        pace: how often they are looked at.
    """

    def __init__(self, in_force: InForce, reloads: Reloads, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was looked at so far.

        Args:
            in_force: knows the files in use.
            reloads: has them read.
            clock: seconds since some moment.
        """
        self._in_force = in_force
        self._reloads = reloads
        self._clock = clock
        self._watches: dict[FileGroup, Watch] = {}
        self.pace = Pace()

    def watching(self) -> AbstractAsyncContextManager[object]:
        """Watch as long as the context lasts; enter it when reloads are served."""
        return beside(self._watch(), "watched files")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.pace.look)
            await self.round()

    async def round(self) -> None:
        """Look at every file once, and have those read that are to be read."""
        groups = self._in_force.state.groups
        found = await asyncio.to_thread(marks_of, [path for group in groups for path in group.files])
        self._watches = {group: self._watches.get(group, Watch()) for group in groups}
        for gone in self._reloads.not_used.keys() - self._watches.keys():
            del self._reloads.not_used[gone]
        for group in groups:
            await self._look(group, {path: found[path] for path in group.files})

    async def _look(self, group: FileGroup, found: Marks) -> None:
        files = self._in_force.state.files
        used = {path: files[path].mark for path in group.files if path in files}
        watch, decision = self._watches[group].looked(used, found, self._clock(), self.pace.patience)
        if decision is Decision.AS_BEFORE:
            self._good_again(group)
        elif decision is not Decision.WAIT:
            watch = await self._read(group, watch, decision)
        self._watches[group] = watch

    async def _read(self, group: FileGroup, watch: Watch, decision: Decision) -> Watch:
        last = decision is Decision.READ_AT_LAST
        known = self._reloads.not_used.get(group)
        outcome = await self._reloads.ask_files(
            group.files, engine=group.engine, quiet=lambda why: not last or (known is not None and known.why == why)
        )
        if outcome.error is None:
            self._good_again(group)
            return Watch()
        if last:
            since = known.since if known else outcome.report.time
            self._reloads.not_used[group] = FileProblem(tuple(map(str, group.files)), since, outcome.report.why)
        # Nothing is known of files that an engine that does not answer was to read: they are read again.
        return watch if isinstance(outcome.error, NotReadyError) else watch.refused(decision)

    def _good_again(self, group: FileGroup) -> None:
        if self._reloads.not_used.pop(group, None):
            _log.info("Files that could not be used are valid again", files=list(map(str, group.files)))
