"""How far a drain is, as the command, the log and the status tell it."""

from __future__ import annotations

import msgspec

from choria_broker.settings import durations

OFF, DRAINING, DRAINED = "off", "draining", "drained"
"""What a broker can be: it takes connections; it moves those that it has; it has none any more and takes none."""


class DrainReport(msgspec.Struct, frozen=True):
    """A drain, or that there is none.

    Attributes:
        state: ``off``, ``draining`` or ``drained``.
        by: who asked for it.
        since: when it began, Unix seconds.
        over: seconds over which connections are moved.
        connections: clients and leafnodes that were there when it began, or logged in meanwhile.
        left: those that are still there.
        ended: those that the drain has ended; others have left by themselves.
        leaders: groups of streams and consumers that this member still leads.
        handed_over: groups that it has given up.
    """

    state: str = OFF
    by: str = ""
    since: float = 0.0
    over: float = 0.0
    connections: int = 0
    left: int = 0
    ended: int = 0
    leaders: int = 0
    handed_over: int = 0

    @property
    def sentence(self) -> str:
        """Tell how far it is, without the full stop."""
        if self.state == OFF:
            return "the broker is not draining"
        leaders = f", and it leads {counted(self.leaders, 'group')} of streams" if self.leaders else ""
        if not self.left:
            return f"no connection is left{leaders}, and new ones are refused"
        return f"{self.left} of {counted(self.connections, 'connection')} are left{leaders}, and new ones are refused"

    @property
    def moved(self) -> str:
        """Tell what was moved so far."""
        groups = f" and the lead of {counted(self.handed_over, 'group')} of streams" if self.handed_over else ""
        return f"{counted(self.ended, 'connection')}{groups}"

    @property
    def plan(self) -> str:
        """Tell over what time it moves connections."""
        return f"over {durations.in_go(self.over)}" if self.over else "at once"


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"
