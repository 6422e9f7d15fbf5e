"""Nodes that wait for provisioning, and whether anybody provisions them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from choria_broker.access import rules
from choria_broker.access.session import Session
from choria_broker.values import replace

PATIENCE = 300.0
"""Seconds that nodes may wait without a provisioner before that is trouble."""

ASK_AFTER = 60.0
"""Seconds after which other brokers are asked for a provisioner, and between two such questions."""


class Waiting(msgspec.Struct, frozen=True):
    """Who waits, and for whom.

    Attributes:
        nodes: how many nodes wait on this broker.
        oldest: since when the first of them waits, Unix seconds; 0 without any.
        provisioners: how many provisioners are connected to this broker.
        elsewhere: a provisioner is connected to another broker, as far as these were asked.
        silent: others were asked and not all of them could be, so there may be one.
        served: when a provisioner was seen last, Unix seconds; 0 for never.
        asked: when others were asked last, Unix seconds; 0 for never.
        time: of the count, Unix seconds.
    """

    nodes: int = 0
    oldest: float = 0.0
    provisioners: int = 0
    elsewhere: bool = False
    silent: bool = False
    served: float = 0.0
    asked: float = 0.0
    time: float = 0.0

    @property
    def alone(self) -> float:
        """Since when nodes wait and nobody provisions them, Unix seconds; 0 when that is not so."""
        if not self.nodes or self.provisioners or self.elsewhere:
            return 0.0
        return max(self.oldest, self.served)

    @property
    def stalled(self) -> bool:
        """Nodes have waited too long while nobody provisions them."""
        return bool(self.alone) and self.time - self.alone >= PATIENCE

    @property
    def asks(self) -> bool:
        """Others are to be asked for a provisioner."""
        if not self.nodes or self.provisioners:
            return False
        return self.time - max(self.oldest, self.served, self.asked) >= ASK_AFTER

    def answered(self, *, found: bool, silent: bool) -> Waiting:
        """Take in what others answered.

        Args:
            found: a provisioner is connected to one of them.
            silent: not all of them could be asked.
        """
        return replace(
            self,
            elsewhere=found,
            silent=silent and not found,
            served=self.time if found else self.served,
            asked=self.time,
        )


def waiting(sessions: Iterable[Session], before: Waiting, now: float) -> Waiting:
    """Count who waits.

    Args:
        sessions: those that are connected.
        before: the count before.
        now: Unix seconds.
    """
    nodes, oldest, provisioners = 0, 0.0, 0
    for each in sessions:
        if each.holder.rule == rules.PROVISIONEE.name:
            nodes += 1
            oldest = min(oldest or each.since, each.since)
        elif each.holder.rule == rules.PROVISIONER.name:
            provisioners += 1
    if not nodes:
        before = Waiting(served=before.served)
    return replace(
        before,
        nodes=nodes,
        oldest=oldest,
        provisioners=provisioners,
        elsewhere=before.elsewhere and not provisioners,
        served=now if provisioners else before.served,
        time=now,
    )
