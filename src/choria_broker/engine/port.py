"""What an engine is to the rest of the broker, which need not know how it is spoken to.

What it tells is in ``events``.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

from choria_broker.access.session import Busy, BusySession, Departed, Session
from choria_broker.engine.authorities import Count
from choria_broker.engine.configuration import Configuration
from choria_broker.engine.counters import GateCounters
from choria_broker.engine.events import Ports
from choria_broker.engine.held import HeldGate
from choria_broker.engine.process import Output


class Engine(Protocol):
    """An engine that was started and has not been ended."""

    @property
    def pid(self) -> int:
        """Process id."""
        ...

    @property
    def alive(self) -> bool:
        """Its process has not ended."""
        ...

    @property
    def counters(self) -> GateCounters:
        """What happened at its gate so far."""
        ...

    @property
    def configuration(self) -> Configuration:
        """What it runs with, and the way to change that."""
        ...

    @property
    def ended_in_time(self) -> bool:
        """False once it had to be killed."""
        ...

    async def hold(self, deadline: float) -> HeldGate:
        """Stop using its gate between two frames, so that another program can go on; until ``go_on`` it is not used.

        Args:
            deadline: seconds it has to take what it was told.

        Raises:
            NotReadyError: it needed longer, or is not running; nothing has changed.
        """
        ...

    def go_on(self) -> None:
        """Use the gate again: no other program has."""
        ...

    def gate_socket(self) -> socket.socket:
        """Return this end of its gate once more, for the program that goes on with it."""
        ...

    @property
    def output(self) -> Output | None:
        """Its error output, once it was left to the next program."""
        ...

    def renew(self, generation: int) -> None:
        """Say that the policy has changed, to this number; what is decided from now on is decided by the new one."""
        ...

    async def authorities(self) -> tuple[Count, ...]:
        """Count connections by the CAs that their certificates are of.

        Raises:
            NotReadyError: it did not answer in time.
        """
        ...

    async def drain(self, serial: int, over: float | None) -> None:
        """Begin to move connections and leaders elsewhere, or take that back.

        Args:
            serial: number of this order, of which ``counters.moving`` tells.
            over: seconds to spread it over; None to take it back.

        Raises:
            DrainError: it does not; the message says why.
            NotReadyError: it is not ready, or did not answer in time.
        """
        ...

    async def sessions(self, *, traffic: bool = False) -> tuple[Session, ...]:
        """List the connections that were let in, but for the broker's own, in the order of their numbers.

        Args:
            traffic: with what goes over each.

        Raises:
            NotReadyError: it does not run, or did not answer in time.
            GateError: what it answered cannot be read.
        """
        ...

    async def busiest(self, most: int, by: str) -> tuple[tuple[BusySession, ...], Busy]:
        """List the sessions over which most goes since this was asked last, and tell what goes over all of them.

        Args:
            most: how many are listed, 2,000 at most.
            by: what is most: ``rate`` (messages), ``bytes``, ``in`` and ``out`` (messages), or ``pending``.

        Raises:
            NotReadyError: it does not run, is older than this program, or did not answer in time.
            GateError: what it answered cannot be read.
        """
        ...

    async def departed(self, after: int = 0) -> tuple[Departed, ...]:
        """List the last 10,000 sessions that have ended, oldest first; raises as ``sessions`` does.

        Args:
            after: number of the last one that is known already.
        """
        ...

    async def end_sessions(self, connections: Iterable[int], reason: str) -> int:
        """End sessions at once, whatever waits to be sent to them.

        Args:
            connections: its numbers of them.
            reason: for the log, and for who asks later; not empty.

        Returns:
            How many there were of them.

        Raises:
            NotReadyError: it does not run, or did not answer in time.
        """
        ...

    async def ready(self, deadline: float, stop: Coroutine[Any, Any, object]) -> Ports:
        """Wait until every listener is open, or until somebody asks the broker to stop before it is.

        Args:
            deadline: seconds to wait.
            stop: ends when the broker is to stop.

        Returns:
            The ports; all 0 when the broker is to stop.

        Raises:
            NotReadyError: it took too long.
        """
        ...
