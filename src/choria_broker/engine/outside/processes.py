"""The key processes of a broker: started when there are keys for them, again when one ends, and told which keys count.

The broker never looks into a file with a key that it hands over: the kernel copies it into memory without a name, whose
descriptor each process is given. So a process that is started again has the key in force, whatever the file is by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from choria_broker.engine.events import KeyProcessCounts
from choria_broker.engine.outside import program
from choria_broker.engine.outside.process import KeyProcess, KeyProcessError
from choria_broker.errors import NotReadyError, ReloadError
from choria_broker.host.children import Child
from choria_broker.host.succession import Succession, unnamed
from choria_broker.log.structured import component

MOST = 16
"""Processes on a machine with more cores than that."""

READY = 30.0
"""Seconds until one process has to sign."""

FAREWELL = 5.0
"""Seconds a process has to end."""

_LASTED = 60.0
"""A process that ran so many seconds was sound: what happened before it does not count any more."""

_SHORTEST, _LONGEST = 0.2, 30.0
_SOCKET = "keys"
_log = component("network")


def pause_after(failures: int) -> float:
    """Return the seconds to wait before a process is started again.

    Args:
        failures: how many in a row have ended soon, this one included.
    """
    return min(_LONGEST, _SHORTEST * 2.0 ** min(failures - 1, 16)) if failures > 0 else 0.0


class _Key(msgspec.Struct, frozen=True):
    """A key that processes hold.

    Attributes:
        number: of this copy of the file.
        file: descriptor of the copy.
        path: of the file.
    """

    number: int
    file: int
    path: str


class LeftKeys(msgspec.Struct, frozen=True):
    """What is left to the next program, besides descriptors.

    Attributes:
        numbers: of the keys.
        processes: process ids.
    """

    numbers: tuple[int, ...]
    processes: tuple[int, ...]


class KeyProcesses:
    """The key processes of one engine.

    Attributes:
        restarts: how often one was started again.
    """

    def __init__(self, succession: Succession | None = None, count: int | None = None) -> None:
        """Start nothing yet.

        Args:
            succession: has what the program before has left, and takes what this one leaves.
            count: how many there are; None for one for each core.
        """
        self.restarts = 0
        self._count = count or min(MOST, len(os.sched_getaffinity(0)))
        self._succession = succession or Succession()
        self._requests: socket.socket | None = None
        self._keys: dict[int, _Key] = {}
        self._last = 0
        self._needed = asyncio.Event()
        self._turn = asyncio.Event()
        self._serving: list[KeyProcess] = []
        self._before: list[tuple[int, socket.socket]] = []
        self._refusal = ""
        self._names: dict[int, str] = {}
        self._failing: set[int] = set()
        self._recall()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of those that sign."""
        return tuple(each.pid for each in self._serving)

    @property
    def wanted(self) -> int:
        """How many there should be."""
        return self._count if self._keys else 0

    @property
    def counts(self) -> KeyProcessCounts:
        """How many there are."""
        return KeyProcessCounts(len(self._serving), self.wanted, len(self._failing), self.restarts)

    def socket_for_engine(self) -> socket.socket:
        """Open the socket for requests, and return the engine's end."""
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return theirs

    @contextlib.asynccontextmanager
    async def running(self, files: Iterable[Path]) -> AsyncIterator[Mapping[str, str]]:
        """Keep processes as long as the context lasts; none is there while there are no keys.

        Args:
            files: with the keys of an engine that is started now.

        Yields:
            As ``changing``.

        Raises:
            ReloadError: the processes cannot hold one.
            NotReadyError: no process signs.
            OSError: a file cannot be read.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                slots = [tasks.create_task(self._kept(slot), name="key process") for slot in range(self._count)]
                try:
                    yield await self._hold(files)
                finally:
                    if self._succession.leaving:
                        self._leave()
                    for each in slots:
                        each.cancel()
        finally:
            for number in tuple(self._keys):
                os.close(self._keys.pop(number).file)
            if self._requests is not None:
                self._requests.close()

    @contextlib.asynccontextmanager
    async def changing(self, files: Iterable[Path]) -> AsyncIterator[Mapping[str, str]]:
        """Have the processes hold the keys in these files, besides those in force, while the engine takes them over.

        On exit they hold these only; after an error, those only that they had.

        Yields:
            The name of the key in each file.

        Raises:
            ReloadError: they cannot hold one.
            NotReadyError: no process signs.
            OSError: a file cannot be read.
        """
        before = tuple(self._keys)
        try:
            yield await self._hold(files)
        except NotReadyError:
            raise  # Perhaps the engine has taken them over after all.
        except BaseException:
            await self._forget([each for each in self._keys if each not in before])
            raise
        await self._forget(before)

    async def _hold(self, files: Iterable[Path]) -> dict[str, str]:
        """Have all processes hold further keys, and return their names."""
        self._refusal = ""
        added: list[_Key] = []
        for path in files:
            self._last += 1
            copy = await asyncio.to_thread(_copied, path)
            added.append(_Key(self._last, copy, str(path)))
            self._keys[self._last] = added[-1]
        if not added:
            return {}
        self._needed.set()
        if self._before:
            await self._first()
            await self._relieve(len(self._before))
        await asyncio.gather(*(self._told(process, added) for process in tuple(self._serving)))
        await self._first()
        return {key.path: self._names[key.number] for key in added}

    async def _told(self, process: KeyProcess, keys: Sequence[_Key]) -> None:
        """Have a process hold keys; one that does not answer is ended, and the next one has them."""
        try:
            for key in keys:
                self._names[key.number] = await process.hold(key.number, key.file)
        except KeyProcessError as error:
            self._refuse(str(error))
        except (OSError, TimeoutError):
            self._give_up(process)

    def _refuse(self, why: str) -> None:
        self._refusal = why
        self._turn.set()

    async def _first(self) -> None:
        """Wait until a process signs."""
        try:
            async with asyncio.timeout(READY):
                while not self._serving and not self._refusal:
                    self._turn.clear()
                    await self._turn.wait()
        except TimeoutError:
            raise NotReadyError(f"no key process was ready within {READY:.0f} s") from None
        if self._refusal:
            raise ReloadError(f"the private key of TLS cannot be used: {self._refusal}")

    async def _forget(self, numbers: Iterable[int]) -> None:
        """Have all processes forget keys; without any there are no processes."""
        gone = [self._keys.pop(number) for number in numbers if number in self._keys]
        for key in gone:
            os.close(key.file)
            self._names.pop(key.number, None)
        if not self._keys:
            self._needed.clear()
            self._failing.clear()
            await self._relieve(len(self._before))
            for process in tuple(self._serving):
                process.dismiss()
            return
        await asyncio.gather(*(self._told_to_forget(process, gone) for process in tuple(self._serving)))

    async def _told_to_forget(self, process: KeyProcess, keys: Sequence[_Key]) -> None:
        try:
            for key in keys:
                await process.forget(key.number)
        except (KeyProcessError, OSError, TimeoutError):
            self._give_up(process)

    def _give_up(self, process: KeyProcess) -> None:
        """End a process that does not do what it is told; another one takes its place."""
        if process in self._serving:
            self._serving.remove(process)
        process.kill()

    async def _kept(self, slot: int) -> None:
        """Keep one process as long as there are keys and the engine is there."""
        failures = 0
        while True:
            await self._needed.wait()
            begun = time.monotonic()
            process, why = await self._life(slot)
            if process is not None and process.alone:
                return  # There is no engine any more.
            if process is not None and process.asked and not why:
                continue
            failures = 1 if time.monotonic() - begun > _LASTED else failures + 1
            if failures > 1:
                self._failing.add(slot)
            self.restarts += 1
            pause = pause_after(failures)
            _log.error("A key process has ended and is restarted", why=why, after=f"{pause:g}s")
            await asyncio.sleep(pause)

    async def _life(self, slot: int) -> tuple[KeyProcess | None, str]:
        """Run one process from its start to its end, and say why it ended; empty when it was time."""
        if self._requests is None:
            raise RuntimeError("there is no engine")
        try:
            process = await _started(self._requests)
        except OSError as error:
            return None, str(error)
        try:
            await self._brought_up(process)
            process.begin()
            self._serving.append(process)
            self._turn.set()
            await self._relieve(1)
            if not await process.ends(_LASTED):
                self._failing.discard(slot)
                await process.wait()
        except KeyProcessError as error:
            self._refuse(str(error))
            return process, str(error)
        except (OSError, TimeoutError) as error:
            return process, process.last_words or str(error) or "it did not answer in time"
        else:
            return process, "" if process.asked else process.last_words
        finally:
            if process in self._serving:
                self._serving.remove(process)
            if not self._succession.leaving:
                await process.end(FAREWELL)

    async def _brought_up(self, process: KeyProcess) -> None:
        """Have a process hold the keys in force and no others; a reload may change them meanwhile."""
        while True:
            missing = next((key for key in self._keys.values() if key.number not in process.holds), None)
            over = next((number for number in process.holds if number not in self._keys), None)
            if missing is not None:
                name = await process.hold(missing.number, missing.file)
                if missing.number in self._keys:
                    self._names[missing.number] = name
            elif over is not None:
                await process.forget(over)
            else:
                return

    def _recall(self) -> None:
        """Go on with what the program before has left."""
        left = self._succession.told(_SOCKET, LeftKeys)
        self._requests = self._succession.inherited_socket(_SOCKET)
        if left is None:
            return
        for number in left.numbers:
            file = self._succession.inherited(f"key {number}")
            if file is not None:
                self._keys[number] = _Key(number, file, "")
        self._last = max(left.numbers, default=0)
        for pid in left.processes:
            sock = self._succession.inherited_socket(f"key process {pid}")
            if sock is not None:
                self._before.append((pid, sock))
        if self._keys:
            self._needed.set()

    def _leave(self) -> None:
        """Leave keys and processes to the next program, which replaces these one by one."""
        left = self._succession
        if self._requests is not None:
            left.bequeath(_SOCKET, self._requests.fileno())
        for key in self._keys.values():
            left.bequeath(f"key {key.number}", key.file)
        running = [*((each.pid, each.broker) for each in self._serving), *self._before]
        for pid, sock in running:
            left.bequeath(f"key process {pid}", sock.fileno())
        left.tell(_SOCKET, LeftKeys(tuple(self._keys), tuple(pid for pid, _ in running)))

    async def _relieve(self, count: int) -> None:
        """End some of the processes that the program before has left."""
        for _ in range(min(count, len(self._before))):
            pid, sock = self._before.pop()
            sock.close()
            child = Child(pid)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await child.wait()


async def _started(requests: socket.socket) -> KeyProcess:
    """Start a process; none is left when this is cancelled."""
    starting = asyncio.get_running_loop().run_in_executor(None, KeyProcess, requests)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await (await starting).end(FAREWELL)
        raise


def _copied(path: Path) -> int:
    """Have the kernel copy a file into memory without a name, and return that; this process does not see the content.

    Raises:
        OSError: it cannot be read.
    """
    copy = unnamed(b"")
    try:
        with path.open("rb", buffering=0) as file:
            size = 0
            while size < program.LARGEST_KEY:
                sent = os.sendfile(copy, file.fileno(), size, program.LARGEST_KEY - size)
                if not sent:
                    break
                size += sent
    except BaseException:
        os.close(copy)
        raise
    return copy
