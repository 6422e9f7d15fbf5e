"""Upgrades: the installed program is tried by a stand-in, which answers the engine while this process begins to run it.

1. The stand-in, a child with the installed program, reads the configuration and a copy of what the broker knows.
2. The gate is held between two frames. From then on the stand-in answers questions.
3. The broker stops, but for what the next program goes on with: engine, gate, listening sockets, files.
4. ``execve``: the process has the installed program, and its descriptors.
5. That starts as the first one did, with what it was left in place of nothing, and relieves the stand-in.

Until 4, any failure leads back: the stand-in hands the gate back, or the program that is loaded begins anew with what
itself has left. Reloads wait from 1 on, and are done by the next program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable

import msgspec

from choria_broker import __version__
from choria_broker.broker import NetworkBroker
from choria_broker.errors import BrokerError, UpgradeError
from choria_broker.host.succession import Succession, read_unnamed, unnamed
from choria_broker.log.structured import component, drain
from choria_broker.service import systemd
from choria_broker.service.again import Left, leave
from choria_broker.status.document import UpgradeBegun, UpgradeReport
from choria_broker.upgrade import VARIABLE
from choria_broker.upgrade.program import Program
from choria_broker.values import replace

REFUSED = "refused, nothing has changed"
"""Outcome of an upgrade after which the version before goes on."""

_HOLD = 5.0
"""Seconds the engine has to answer what it was asked, and to take what it was told; it asks meanwhile."""

_log = component("broker")


class Request(msgspec.Struct, frozen=True):
    """Somebody wants an upgrade.

    Attributes:
        by: who.
        begun: done when nothing stands in its way any more, or with the reason why nothing changes.
    """

    by: str
    begun: asyncio.Future[UpgradeBegun]


class Upgrades:
    """The one owner of upgrades of a process.

    Args:
        program: how the installed program is started.
        left: what the service leaves.
    """

    def __init__(self, program: Program, left: Left) -> None:
        """Nothing is wanted yet."""
        self._program = program
        self._left = left
        self._wanted: asyncio.Queue[Request] = asyncio.Queue()

    def want(self, by: str) -> asyncio.Future[UpgradeBegun]:
        """Ask for an upgrade, in the event loop; returns at once.

        Args:
            by: who asks.

        Returns:
            Done when nothing stands in its way any more; or with an error, when nothing has changed.
        """
        request = Request(by, asyncio.get_running_loop().create_future())
        request.begun.add_done_callback(lambda done: done.cancelled() or done.exception())  # Nobody need look.
        self._wanted.put_nowait(request)
        return request.begun

    async def arrived(self, broker: NetworkBroker) -> None:
        """Say, in the log and in the status, that this program has taken over, if it has."""
        left = self._left
        if not left.version:
            return
        from choria_broker.upgrade.relief import CHANNEL  # noqa: PLC0415 - a start does not need them
        from choria_broker.upgrade.trial import ended  # noqa: PLC0415 - the same

        stand_in = broker.succession.told(CHANNEL, int)
        older = await broker.look_at_engine()
        report = UpgradeReport(
            time=time.time(),
            by=left.by,
            before=left.version,
            after=__version__,
            seconds=round(time.time() - left.begun, 3),
            begun=left.begun,
            engine=older,
            problem=left.problem,
        )
        broker.tell_upgrade(report)
        if left.problem:
            _log.error("Upgrade refused, nothing has changed", why=left.problem)
            broker.acts.record("upgrade", left.by, REFUSED, why=left.problem)
        else:
            _log.info("The installed program has taken over, and nobody was disconnected", version=report.after)
            outcome = "done; the engine is older than the installed one and needs a restart" if older else "done"
            broker.acts.record(
                "upgrade", left.by, outcome, before=report.before, after=report.after, seconds=report.seconds
            )
        if stand_in:
            await ended(stand_in)

    async def serve(self, broker: NetworkBroker) -> None:
        """Try whenever that is wanted; ends when it can be done, with the broker on its way to the next program."""
        while True:
            request = await self._wanted.get()
            systemd.tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                begun = await self._prepared(broker, request.by)
            except (BrokerError, OSError) as error:
                systemd.tell("READY=1")
                detail = {"detail": list(error.detail)} if isinstance(error, UpgradeError) and error.detail else {}
                _log.error("Upgrade refused, nothing has changed", why=str(error), **detail)
                broker.acts.record("upgrade", request.by, REFUSED, why=str(error))
                if not request.begun.done():
                    request.begun.set_exception(error)
                continue
            if not request.begun.done():
                request.begun.set_result(begun)
            for other in iter(self._next, None):
                other.begun.set_exception(UpgradeError("another upgrade is in progress"))
            return

    def _next(self) -> Request | None:
        return None if self._wanted.empty() else self._wanted.get_nowait()

    async def _prepared(self, broker: NetworkBroker, by: str) -> UpgradeBegun:
        """Have a stand-in answer the engine, and the broker leave.

        Raises:
            UpgradeError: the installed program cannot take over.
            NotReadyError: the engine is not ready.
            OSError: there are no more processes or descriptors.
        """
        if not broker.settings.network_enabled:
            raise UpgradeError(
                "no network broker runs in this process, so there are no connections to keep: restart it"
            )
        from choria_broker.upgrade.relief import CHANNEL  # noqa: PLC0415 - a start does not need them
        from choria_broker.upgrade.trial import StandIn  # noqa: PLC0415 - the same

        left = replace(self._left, by=by, version=__version__, begun=time.time())
        async with contextlib.AsyncExitStack() as undone:
            await undone.enter_async_context(broker.reloads.unchanged())
            stand_in = StandIn(self._program)
            undone.push_async_callback(stand_in.end)
            version = await stand_in.tried(_copy(broker, left))
            held, gate = await broker.hand_over.hold(_HOLD)
            undone.callback(broker.hand_over.go_on)
            await stand_in.serve(held, gate)
            leave(broker.succession, left)
            broker.succession.bequeath(CHANNEL, stand_in.channel.fileno())
            broker.succession.tell(CHANNEL, stand_in.pid)
            undone.pop_all()  # Reloads wait for the next program.
        stand_in.close()
        broker.leave()
        return UpgradeBegun(__version__, version, left.begun, os.getpid())


def _copy(broker: NetworkBroker, left: Left) -> bytes:
    """Return what the broker would leave, but for descriptors."""
    succession = Succession()
    leave(succession, left)
    broker.hand_over.remember(succession)
    return succession.packed()


def become(program: Program, succession: Succession, hold: Callable[[], None]) -> None:
    """Have this process run the installed program, which goes on with what this one leaves.

    Call this on the main thread, to which the kernel ties the engine's life, when no event loop runs any more.

    Args:
        program: how it is started.
        succession: what this one leaves.
        hold: has signals wait for the next program.

    Raises:
        OSError: the program cannot be executed; this one goes on.
    """
    memory = unnamed(succession.packed())
    try:
        os.set_inheritable(memory, True)  # noqa: FBT003 - the function's own interface
        succession.passed_on()
        drain()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        hold()
        os.execve(  # noqa: S606 - the program that this process runs too
            program.executable, program.again, {**os.environ, VARIABLE: f"{os.getpid()}:{memory}"}
        )
    finally:
        os.close(memory)


def inheritance() -> Succession | None:
    """Return what the program before has left to this one; None when this one is the first of its process.

    Raises:
        SuccessionError: it is not understood.
        OSError: it cannot be read.
    """
    pid, _, memory = os.environ.pop(VARIABLE, "").partition(":")
    if pid != str(os.getpid()) or not memory.isdecimal():
        return None
    return Succession.unpacked(read_unnamed(int(memory)))
