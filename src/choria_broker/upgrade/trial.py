"""The stand-in as the running program sees it: a child that runs the installed program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Mapping
from typing import TypeVar

from choria_broker.engine.held import HeldGate
from choria_broker.errors import UpgradeError
from choria_broker.host.children import Child, started
from choria_broker.host.environment import for_children
from choria_broker.host.succession import Succession, read_unnamed, unnamed
from choria_broker.upgrade.channel import ChannelError, Serve, Serving, Trial, Tried, channel, receive, send
from choria_broker.upgrade.program import Program

COMMAND = "standin"
"""The command that a stand-in is started with."""

HELD = "held"
"""Name under which a stand-in is told of the gate."""

_TRIAL = 30.0
_SERVE = 5.0
_FAREWELL = 5.0
_LAST_LINES = 20
_UNKNOWN = "No such command"
_T = TypeVar("_T")


class StandIn:
    """A child that runs the installed program, tries it, and can answer the engine's questions.

    Attributes:
        pid: process id.
        channel: this end of the channel to it.
    """

    def __init__(self, program: Program, environ: Mapping[str, str] | None = None) -> None:
        """Start it.

        Args:
            program: how to start the installed program.
            environ: variables to use instead of those of the process.

        Raises:
            OSError: it cannot be started.
        """
        self._output = unnamed(b"")
        self.channel, theirs = channel()
        try:
            with theirs:
                command = program.command(COMMAND, "--channel", str(theirs.fileno()))
                variables = for_children(os.environ if environ is None else environ)
                self._child = started(command, (theirs.fileno(),), self._output, variables)
        except BaseException:
            self.close()
            raise
        self.pid = self._child.pid

    async def tried(self, copy: bytes) -> str:
        """Wait until the program has tried itself, and return its version.

        Args:
            copy: what the running program would leave.

        Raises:
            UpgradeError: it cannot take over; the message says why.
        """
        try:
            with contextlib.closing(_File(copy)) as memory:
                send(self.channel, Trial(), (memory.descriptor,))
            tried, _ = await self._received(Tried, _TRIAL)
        except TimeoutError:
            raise UpgradeError(f"the installed program did not load within {_TRIAL:.0f} s") from None
        except ChannelError:
            raise await self._does_not_run() from None
        if tried.problem:
            raise UpgradeError(tried.problem, tried.detail)
        return tried.version

    async def serve(self, held: HeldGate, gate: socket.socket) -> None:
        """Have it answer the engine's questions.

        Args:
            held: where the gate was stopped.
            gate: its socket.

        Raises:
            UpgradeError: it does not.
        """
        told = Succession()
        told.tell(HELD, held)
        try:
            with contextlib.closing(_File(told.packed())) as memory:
                send(self.channel, Serve(), (memory.descriptor, gate.fileno()))
            await self._received(Serving, _SERVE)
        except (ChannelError, TimeoutError) as error:
            raise UpgradeError("the installed program was tried, and then did not answer the engine") from error

    async def end(self) -> None:
        """End it, and wait until it has gone."""
        self.close()
        await ended(self.pid)

    def close(self) -> None:
        """Close this end of the channel; the process ends by that, unless somebody else has a duplicate."""
        self.channel.close()
        if self._output >= 0:
            os.close(self._output)
            self._output = -1

    async def _received(self, kind: type[_T], deadline: float) -> tuple[_T, list[int]]:
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.channel, readable.set)
        try:
            async with asyncio.timeout(deadline):
                await readable.wait()
        finally:
            loop.remove_reader(self.channel)
        return receive(self.channel, kind)

    async def _does_not_run(self) -> UpgradeError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self._child.wait()
        text = read_unnamed(os.dup(self._output)).decode(errors="replace")
        lines = tuple(line.rstrip() for line in text.splitlines() if line.strip())[-_LAST_LINES:]
        if any(_UNKNOWN in line for line in lines):
            return UpgradeError("the installed program has a version that cannot take over from a running one", lines)
        why = lines[-1] if lines else f"it ended with exit status {self._child.status}"
        return UpgradeError(f"the installed program does not run: {why}", lines)


async def ended(pid: int) -> None:
    """Wait until a stand-in that this process has started, with any program, has gone."""
    child = Child(pid)
    try:
        async with asyncio.timeout(_FAREWELL):
            await child.wait()
    except TimeoutError:
        child.send(signal.SIGKILL)
        await child.wait()


class _File:
    """Memory without a name for as long as it takes to send it."""

    def __init__(self, data: bytes) -> None:
        self.descriptor = unnamed(data)

    def close(self) -> None:
        os.close(self.descriptor)
