"""The stages that a message goes through, and what is counted of their workers.

Workers are numbers here. Messages go round among them, so that metrics and hop records look as those of the original,
where they are threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import msgspec

from choria_broker.companions import metrics
from choria_broker.companions.tally import Count, Tally, Timed
from choria_broker.federation.transformation import Outgoing, Subjects, reply, request
from choria_broker.federation.transport import Cause, Transport, read, write

WORKERS = 10
"""Workers of each stage, over all processes."""

INGEST, EGEST = "choria_nats_ingest", "choria_nats_egest"
"""Names of the stages that have connections, and of those."""

_LABELS = {INGEST: "nats_ingest", EGEST: "nats_egest"}
_UNCONNECTED = "unconnected"


class Route(msgspec.Struct, frozen=True):
    """One of the two ways through a federation broker.

    Attributes:
        ingest, egest: names of the sides that messages come from, and go to.
        transformer: name of the stage between them.
        transform: what it does.
        subject, group: what is subscribed to, and as a member of which queue group.
        subjects: of this federation broker.
    """

    ingest: str
    egest: str
    transformer: str
    transform: Callable[[Transport, Subjects], Outgoing | Cause]
    subject: str
    group: str
    subjects: Subjects


def routes(cluster: str) -> tuple[Route, Route]:
    """Return the ways of requests and of replies through the federation broker of a cluster."""
    subjects, clients, servers = Subjects.of(cluster), "federation", "collective"
    return (
        Route(
            ingest=clients,
            egest=servers,
            transformer="choria_request_transformer",
            transform=request,
            subject=subjects.federation,
            group=f"{cluster}_{clients}",
            subjects=subjects,
        ),
        Route(
            ingest=servers,
            egest=clients,
            transformer="choria_reply_transformer",
            transform=reply,
            subject=subjects.collective,
            group=f"{cluster}_{servers}",
            subjects=subjects,
        ),
    )


class Worker(msgspec.Struct, frozen=True):
    """What one worker of one stage has done.

    Attributes:
        received: messages that it took over.
        errors: messages that it dropped, and publications that failed.
        time: seconds that it needed for messages.
    """

    received: Count
    errors: Count
    time: Timed


class Passing(msgspec.Struct, frozen=True):
    """A message on its way.

    Attributes:
        turn: which of the workers of this process have it.
        outgoing: the message, and where it goes.
    """

    turn: int
    outgoing: Outgoing


class Stages:
    """The stages of one route, with the workers that one process has.

    Args:
        route: the route.
        cluster: of the federation broker.
        identity: of the broker.
        numbers: of the workers; one or more.
        tally: counts for them.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        route: Route,
        cluster: str,
        identity: str,
        numbers: Iterable[int],
        tally: Tally,
        clock: Callable[[], float],
    ) -> None:
        """Nothing has come yet."""
        self._route = route
        self._cluster = cluster
        self._numbers = tuple(numbers)
        self._tally = tally
        self._clock = clock
        self._turns = itertools.cycle(range(len(self._numbers)))
        self._workers: dict[str, tuple[Worker, ...]] = {}
        self._published: tuple[Count, ...] = ()
        names = [
            ", ".join(f"{stage}:{number}" for stage in (INGEST, route.transformer, EGEST)) for number in self._numbers
        ]
        self._names = tuple(f"{identity} ({name})" for name in names)
        self.begin(route.transformer)

    @property
    def workers(self) -> int:
        """How many workers each stage has in this process."""
        return len(self._numbers)

    def begin(self, stage: str) -> None:
        """Show the workers of a stage from now on; those that have connections are not shown before they have them."""
        if stage in self._workers:
            return
        labels = [self._labels(stage, number) for number in self._numbers]
        count, timed = self._tally.count, self._tally.timed
        self._workers[stage] = tuple(
            Worker(
                count(metrics.FEDERATION_RECEIVED, each),
                count(metrics.FEDERATION_ERRORS, each),
                timed(metrics.FEDERATION_TIME, each),
            )
            for each in labels
        )
        if stage == EGEST:
            self._published = tuple(count(metrics.FEDERATION_PUBLISHED, each) for each in labels)

    def overflowed(self, messages: int) -> None:
        """Count messages that were dropped because too many waited."""
        self.begin(INGEST)
        for _ in range(messages):
            self._workers[INGEST][next(self._turns)].errors.add()

    def denied(self) -> None:
        """Count a publication that the broker does not permit, which is known only afterwards."""
        self._workers[EGEST][next(self._turns)].errors.add()

    def take(self, message: bytes) -> Passing | Cause:
        """Read and edit a message, and count that.

        Args:
            message: as received.

        Returns:
            The message on its way, or why it is dropped.
        """
        turn, clock = next(self._turns), self._clock
        begun = clock()
        ingest = self._workers[INGEST][turn]
        transport = read(message)
        if isinstance(transport, Transport) and transport.federation is None:
            transport = Cause.NOT_FEDERATED
        read_by = clock()
        ingest.time.add(read_by - begun)
        if isinstance(transport, Cause):
            ingest.errors.add()
            return transport
        ingest.received.add()
        transformer = self._workers[self._route.transformer][turn]
        outgoing = self._route.transform(transport, self._route.subjects)
        transformer.time.add(clock() - read_by)
        if isinstance(outgoing, Cause):
            transformer.errors.add()
            return outgoing
        if outgoing.refused:
            transformer.errors.add()
        transformer.received.add()
        return Passing(turn, outgoing)

    def written(self, passing: Passing, ingest: str, egest: str) -> bytes:
        """Put a message together with its hop record.

        Args:
            passing: the message.
            ingest: URL of the broker that it came from.
            egest: URL of the broker that it goes to.
        """
        return write(passing.outgoing.transport, (ingest, self._names[passing.turn], egest))

    def published(self, passing: Passing, targets: int, failed: int, seconds: float) -> None:
        """Count a message that was published, or was not.

        Args:
            passing: the message.
            targets: to how many targets it was published.
            failed: to how many it could not be.
            seconds: it took.
        """
        worker = self._workers[EGEST][passing.turn]
        worker.received.add()
        worker.errors.add(failed)
        worker.time.add(seconds)
        self._published[passing.turn].add(targets)

    def _labels(self, stage: str, number: int) -> tuple[str, ...]:
        side = {INGEST: self._route.ingest, EGEST: self._route.egest}.get(stage, _UNCONNECTED)
        return _LABELS.get(stage, stage), str(number), side, self._cluster
