"""What a companion is to its process: the work that an adapter or the federation broker does."""

from __future__ import annotations

from typing import Protocol

from choria_broker.companions.links import Links


class Work(Protocol):
    """The work of one companion in one of its processes.

    It is made with the specification of the companion, its share and its tally; see ``worker.CompanionKind``.
    """

    async def open(self, links: Links) -> None:
        """Make connections and subscriptions; returns at once, for they come about by themselves."""
        ...

    async def run(self) -> None:
        """Do the work until it is cancelled. An error ends the process, which is then started anew."""
        ...

    def close_ingest(self) -> None:
        """Take nothing more in; ``run`` goes on with what is there."""
        ...

    def pending(self) -> int:
        """Return how many messages it has in hand, taken in and not yet published."""
        ...
