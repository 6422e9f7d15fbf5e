"""What signals do to the program, from its first moment to its last.

The event loop's own handlers come late and go early: a signal while the configuration is read, or a second one in the
last milliseconds of an orderly stop, must not turn into a death by signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from choria_broker.host.thread_dump import dump_threads
from choria_broker.log.structured import component

NAMES = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}
"""Signals that ask for an orderly stop, by the words the log has for them."""

_IGNORED = (signal.SIGPIPE, signal.SIGUSR1)
_HELD = (*NAMES, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2)
_log = component("broker")


class Signals:
    """The program's reaction to signals.

    Before the broker serves, a request to stop ends the program with status 0, and one to reload waits; while it
    serves, requests are handed to it; afterwards they are ignored. A program that goes on with what another has left
    has both wait, for there is a broker to be stopped.
    """

    def __init__(self) -> None:
        """Prepare; nothing changes before ``install``."""
        self._stop: Callable[[signal.Signals], None] = _leave
        self._reload: Callable[[], None] = self._remember
        self._upgrade: Callable[[], object] = _nothing
        self._early = False
        self._early_stops: list[signal.Signals] = []
        self._late: list[int] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def install(self) -> None:
        """Take over the signals of the process; call this on the main thread."""
        for number in NAMES:
            signal.signal(number, lambda received, _frame: self._stop(signal.Signals(received)))
        signal.signal(signal.SIGHUP, lambda _number, _frame: self._reload())
        signal.signal(signal.SIGQUIT, lambda _number, _frame: self._dump())
        signal.signal(signal.SIGUSR2, lambda _number, _frame: self._upgrade())
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def handed_to(
        self,
        stop: Callable[[signal.Signals], None],
        reload: Callable[[], None],
        upgrade: Callable[[], object] = lambda: None,
        leaving: Callable[[], bool] = lambda: False,
    ) -> Iterator[None]:
        """Hand requests to a broker that runs in the current event loop.

        Args:
            stop: told of each request to stop, in the loop; also of those that waited.
            reload: told of each request to reload, in the loop; also of one that came before.
            upgrade: told of each request to run the installed program, in the loop.
            leaving: tells at the end whether that program goes on, which then has the signals that come from there on.
        """
        loop = self._loop = asyncio.get_running_loop()
        self._stop = lambda number: _in_loop(loop, lambda: stop(number))
        self._reload = lambda: _in_loop(loop, reload)
        self._upgrade = lambda: _in_loop(loop, upgrade)
        if self._early:
            reload()
        for number in self._early_stops:
            stop(number)
        try:
            yield
        finally:
            # The interpreter takes Python's handlers down before it ends, and the kernel's reaction would be back.
            for number in _HELD:
                signal.signal(number, self._put_off if leaving() else signal.SIG_IGN)
            self._stop, self._loop = _leave, None

    def hold(self) -> None:
        """Have signals wait for the next program; call this on the main thread, when nothing is handed to a broker."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        for number in self._late:
            signal.pthread_kill(threading.main_thread().ident or 0, number)

    def release(self) -> None:
        """Take the signals that waited; requests to stop wait on, for the broker."""
        self._stop = self._early_stops.append
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)

    def _put_off(self, number: int, _frame: object) -> None:
        self._late.append(number)

    def _remember(self) -> None:
        self._early = True

    def _dump(self) -> None:
        dump_threads(_log, self._loop)


def _nothing() -> None:
    """Do nothing."""


def _in_loop(loop: asyncio.AbstractEventLoop, do: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # The loop closed a moment ago: the stop is under way.
        loop.call_soon_threadsafe(do)


def _leave(number: signal.Signals) -> None:
    _log.info(f"Shutting down on {NAMES[number]}")
    raise SystemExit(0)
