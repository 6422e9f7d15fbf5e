"""How companions are, as their processes tell it and as status shows it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec


class State(enum.StrEnum):
    """How a companion is."""

    STARTING = "starting"
    """Its processes start, or connect for the first time."""
    RUNNING = "running"
    """It is connected everywhere."""
    WAITING = "waiting"
    """A broker is away; it is waited for."""
    RESTARTING = "restarting"
    """A process has ended by itself, and is started anew after a pause."""
    GIVEN_UP = "given up"
    """A process has ended again and again, and is not started any more."""
    STOPPING = "stopping"
    """It finishes what it has in hand."""


class SideReport(msgspec.Struct, frozen=True):
    """The connections to one network.

    Attributes:
        wanted: how many there are to be.
        connected: how many there are.
        brokers: URLs of the brokers.
        problem: why the last attempt failed, empty when it did not.
    """

    wanted: int = 0
    connected: int = 0
    brokers: tuple[str, ...] = ()
    problem: str = ""

    def __add__(self, other: SideReport) -> SideReport:
        """Put the reports of two processes together."""
        return SideReport(
            self.wanted + other.wanted,
            self.connected + other.connected,
            tuple(dict.fromkeys((*self.brokers, *other.brokers))),
            self.problem or other.problem,
        )


class CompanionReport(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter, or the federation broker.

    Attributes:
        kind: ``adapter`` or ``federation``.
        name: of the adapter, or of the federation broker's cluster.
        state: how it is; one of ``State``.
        sentence: the same for people, without a full stop.
        processes: process ids of its processes.
        restarts: how often one of them was started anew because it had ended by itself.
        sides: its connections, by the network they lead to.
        received, published, errors, lost: messages since the broker started. Lost are those it had in hand when it, or
            one of its processes, ended.
    """

    kind: str
    name: str
    state: str
    sentence: str
    processes: tuple[int, ...] = ()
    restarts: int = 0
    sides: Mapping[str, SideReport] = {}
    received: int = 0
    published: int = 0
    errors: int = 0
    lost: int = 0
