"""One process of a companion, as the broker sees it: started, listened to, stopped in order, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

from choria_broker import __version__
from choria_broker.companions.channel import Begin, Channel, ChannelError, Line, Report, Stop, pair
from choria_broker.companions.spec import Share, Spec
from choria_broker.engine.bridge import WayIn
from choria_broker.host.children import Child, started
from choria_broker.host.environment import for_children
from choria_broker.host.succession import read_unnamed, unnamed
from choria_broker.log.outlet import Outlet
from choria_broker.log.structured import ROOT

COMMAND = "companion"
"""The command that such a process is started with."""

SILENCE = 30.0
"""Seconds without a report after which a process counts as hung."""

_FLUSH = 5.0
"""Seconds beyond those for what is in hand, until a process that does not end is killed."""

_KEPT_BACK = ("MCOLLECTIVE_", "CHORIA_")
"""How names of variables begin that may hold secrets, or would change what it does."""

_LONGEST_OUTPUT = 4000


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a companion process gets, of those of the broker."""
    return {name: text for name, text in for_children(environ).items() if not name.startswith(_KEPT_BACK)}


class CompanionProcess:
    """A process that runs.

    Attributes:
        pid: process id.
        report: its latest report, None before the first.
        last_words: what it wrote to its error output, once it has ended.
    """

    def __init__(self, child: Child, channel: Channel, output: int) -> None:
        """Take over a process that was just started; use ``start``.

        Args:
            child: the process.
            channel: this end of the channel to it.
            output: the file that its error output goes to.
        """
        self._child = child
        self._channel = channel
        self._output = output
        self.pid = child.pid
        self.report: Report | None = None
        self.last_words = ""
        self._heard = time.monotonic()

    @classmethod
    def start(cls, spec: Spec, share: Share, way_in: WayIn | None) -> CompanionProcess:
        """Start a process, and tell it what to be.

        Raises:
            OSError: it cannot be started.
        """
        output = unnamed(b"")
        ours, theirs = pair()
        try:
            with theirs:
                command = [sys.executable, "-m", "choria_broker", COMMAND, "--channel", str(theirs.fileno())]
                child = started(command, (theirs.fileno(),), output, environment(os.environ))
        except BaseException:
            ours.close()
            os.close(output)
            raise
        channel = Channel(ours)
        channel.send(
            Begin(
                version=__version__,
                kind=spec.key.kind,
                name=spec.key.name,
                identity=spec.identity,
                detail=spec.detail,
                debug=spec.debug,
                number=share.number,
                of=share.of,
                way_in=way_in,
            )
        )
        return cls(child, channel, output)

    @property
    def lost(self) -> int:
        """Messages it still had in hand at its end, as far as it could tell."""
        return max(0, self.report.lost) if self.report else 0

    async def ended(self, told: Callable[[Report], None]) -> int:
        """Listen to it until it has ended.

        Args:
            told: takes its reports.

        Returns:
            Its exit status; minus the signal's number when a signal ended it.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watched(), name="companion silence")
                with contextlib.suppress(ChannelError):
                    while message := await self._channel.receive():
                        self._heard = time.monotonic()
                        if isinstance(message, Report):
                            told_before = self.report.lines_dropped if self.report else 0
                            Outlet.dropped_by_all += message.lines_dropped - told_before
                            self.report = message
                            told(message)
                        elif isinstance(message, Line):
                            _say(message)
                self._channel.close()  # It ends by that, when it has not yet.
                status = await self._child.wait()
                watching.cancel()
        finally:
            await self.end()
        return status

    async def _watched(self) -> None:
        """Kill it when it does not say anything for too long."""
        while True:
            await asyncio.sleep(SILENCE / 10)
            if time.monotonic() - self._heard > SILENCE:
                self.kill()

    def stop(self, patience: float) -> None:
        """Ask it to finish what it has in hand, and to end."""
        self._heard = time.monotonic() + patience
        self._channel.send(Stop(patience))

    def kill(self) -> None:
        """End it at once."""
        self._child.send(signal.SIGKILL)

    async def end(self) -> None:
        """Have it gone, whatever it does."""
        self._channel.close()
        if self._child.alive:
            self.kill()
            await self._child.wait()
        if self._output >= 0:
            output, self._output = self._output, -1
            with contextlib.suppress(OSError):
                text = await asyncio.to_thread(read_unnamed, output)
                self.last_words = text[-_LONGEST_OUTPUT:].decode(errors="replace").strip()


def _say(line: Line) -> None:
    logging.getLogger(f"{ROOT}.{line.component}").log(
        line.level, "%s", line.text, extra={"component": line.component, **line.fields}
    )
