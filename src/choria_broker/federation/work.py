"""The federation broker, as the work of a companion process."""

from __future__ import annotations

import asyncio
import time

from choria_broker.companions.complaints import Complaints
from choria_broker.companions.links import Link, Links
from choria_broker.companions.spec import Share, Spec
from choria_broker.companions.tally import Tally
from choria_broker.federation.relay import MOST_BYTES, MOST_WAITING, Relay
from choria_broker.federation.stages import EGEST, INGEST, WORKERS, Stages, routes
from choria_broker.log.structured import component
from choria_broker.settings.companions import Federation

_log = component("federation")


class FederationWork:
    """Hands requests of clients to the collective, and replies back.

    Args:
        spec: the companion.
        share: which of the workers are of this process.
        tally: counts for them.
    """

    def __init__(self, spec: Spec, share: Share, tally: Tally) -> None:
        """Nothing is connected yet."""
        self._spec, self._share, self._tally = spec, share, tally
        self._cluster = spec.settings(Federation).cluster
        self._ingests: list[Link] = []
        self._relays: list[Relay] = []

    async def open(self, links: Links) -> None:
        """Make four connections: for each of the two ways one that takes in, and one that publishes."""
        complaints, part = Complaints(_log), self._share.of
        bounds = MOST_WAITING // part, MOST_BYTES // part
        for route in routes(self._cluster):
            numbers = self._share.workers(WORKERS)
            stages = Stages(route, self._cluster, self._spec.identity, numbers, self._tally, time.perf_counter)
            ingest, egest = links.link(route.ingest, INGEST), links.link(route.egest, EGEST)
            self._ingests.append(ingest)
            self._relays.append(Relay(route, stages, ingest, egest, complaints, bounds=bounds))
        _log.info("Starting Federation Broker", cluster=self._cluster)

    async def run(self) -> None:
        """Move messages until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for relay in self._relays:
                tasks.create_task(relay.run(), name="relay")

    def close_ingest(self) -> None:
        """Take nothing more in; what waits is still published."""
        for ingest in self._ingests:
            ingest.close_ingest()

    def pending(self) -> int:
        """Return how many messages wait, or are being published."""
        return sum(relay.pending for relay in self._relays)
