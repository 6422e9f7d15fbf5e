"""What an engine tells, whoever speaks to it and however."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping

import msgspec

from choria_broker.access.session import Again


class Versions(msgspec.Struct, frozen=True):
    """What an engine says of itself.

    Attributes:
        engine: its version.
        nats: version of the nats-server library in it.
        protocol: version of the gate's protocol that it speaks.
    """

    engine: str
    nats: str
    protocol: int


class Ports(types.SimpleNamespace):
    """Ports the engine listens on, by listener: all that it told, and 0 for those here of which there is none."""

    client: int = 0
    websocket: int = 0
    leafnode: int = 0
    cluster: int = 0
    gateway: int = 0

    @property
    def told(self) -> Mapping[str, int]:
        """Those of which the engine told."""
        return vars(self)

    @property
    def listening(self) -> bool:
        """The engine is ready; one that is has a port for clients."""
        return bool(self.client)


class Queue(msgspec.Struct, frozen=True):
    """What comes of clients that wait until this machine has time for their login; the last three since the start.

    Attributes:
        waiting: how many do.
        at_once: how many logins are worked on at once, at most.
        waited: their login was begun in the end.
        left: they had gone by then.
        dropped: they were closed, since they would have given up before the end of a login.
    """

    waiting: int = 0
    at_once: int = 0
    waited: int = 0
    left: int = 0
    dropped: int = 0

    @property
    def in_vain(self) -> int:
        """How many waited for nothing."""
        return self.left + self.dropped


class Refusal(msgspec.Struct, frozen=True):
    """The engine refused a connection by its own decision.

    Attributes:
        cause: why, in a word; the gate's protocol has the list.
        connection_id: the engine's number for the connection.
        address: of the peer without port, empty when it is not known.
    """

    cause: str
    connection_id: int = 0
    address: str = ""


class Signings(msgspec.Struct, frozen=True):
    """What came of the signatures that an engine asked key processes for, since its start.

    Attributes:
        signed: those that were made.
        late: those that were not made in time.
        overflow: those that too many others waited for already.
        refused: those that a process could not make.
        again: requests that were sent once more, since nothing was heard of the first.
    """

    signed: int = 0
    late: int = 0
    overflow: int = 0
    refused: int = 0
    again: int = 0


class KeyProcessCounts(msgspec.Struct, frozen=True):
    """How many processes hold private keys for an engine.

    Attributes:
        running: those that sign.
        wanted: how many there should be; 0 when the engine has all keys itself.
        failing: those that have ended soon several times in a row.
        restarts: how often one has ended and was started again, since the start of the program.
    """

    running: int = 0
    wanted: int = 0
    failing: int = 0
    restarts: int = 0


class Moving(msgspec.Struct, frozen=True):
    """How far a drain of the engine is.

    Attributes:
        serial: number of the latest order that was followed.
        draining: connections that come are refused.
        left: clients and leafnodes that are still there.
        ended: those that the drain has ended.
        leaders: groups of streams and consumers that this member still leads.
        handed_over: groups that it has given up.
    """

    serial: int = 0
    draining: bool = False
    left: int = 0
    ended: int = 0
    leaders: int = 0
    handed_over: int = 0


class Told(msgspec.Struct, frozen=True):
    """Who is told what an engine says besides its questions.

    Attributes:
        refused: told of each refusal the engine decided itself.
        admitted: told of connections that were let in by verdicts that had left something open, and of those that were
            let in by verdicts about others.
        greeted: told once what the engine says of itself.
    """

    refused: Callable[[Refusal], None]
    admitted: Callable[[Iterable[int], Iterable[Again]], None]
    greeted: Callable[[Versions], None]
