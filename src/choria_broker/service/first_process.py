"""The first process of a container: passes signals on, and waits for processes that lost their parents.

The kernel makes it the parent of every orphan, and what nobody waits for stays in the table of processes. The broker
waits only for its own children, so it goes on in a child, and this process does nothing else.
"""

from __future__ import annotations

import contextlib
import os
import signal

_FIRST = 1
_BY_SIGNAL = 128
"""What shells add to the number of the signal that ended a program."""

_PASSED_ON = frozenset(
    {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)


def attend() -> None:
    """Return in a child where this is the first process of a container, else at once.

    The first process never returns from here: it ends when that child does, with its exit status.
    """
    if os.getpid() != _FIRST:
        return
    # Blocked signals wait; the kernel would drop others that the first process has no handler for.
    watched = _PASSED_ON | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
        return
    status = None
    while status is None:
        number = signal.sigwait(watched)
        if number == signal.SIGCHLD:
            status = _reaped(child)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
    os._exit(_BY_SIGNAL - status if status < 0 else status)


def _reaped(child: int) -> int | None:
    """Wait for everything that has ended; return the exit status of the child when it was among that."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return None
            if pid == child:
                return os.waitstatus_to_exitcode(status)
    return None
