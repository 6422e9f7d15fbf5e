"""When a watched file is read again: decided by looks at it, without a clock and without files."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path

import msgspec

from choria_broker.host.facts import Mark
from choria_broker.values import replace

Marks = Mapping[Path, Mark | None]
"""Files as a look found them; None for one that is not there."""


class Decision(enum.Enum):
    """What is to be done after a look."""

    WAIT = enum.auto()
    """Nothing, before the next look."""
    READ = enum.auto()
    """Read the files. If something is wrong with them, somebody may still be at it."""
    READ_AT_LAST = enum.auto()
    """Read the files. If something is wrong with them, it is time to say so."""
    AS_BEFORE = enum.auto()
    """The files that are in use are back; what was said about the others no longer counts."""


class Watch(msgspec.Struct, frozen=True):
    """What is known of files that are watched together, such as a certificate and its key.

    Attributes:
        seen: as the look before found them, when they differ from those in use.
        since: when they were first seen to differ, in seconds.
        tried: those that were read last, to no avail.
        told: it was said that something is wrong.
        closed: those of ``tried`` are not read again.
    """

    seen: Marks | None = None
    since: float = 0.0
    tried: Marks | None = None
    told: bool = False
    closed: bool = False

    def looked(self, used: Marks, found: Marks, now: float, patience: float) -> tuple[Watch, Decision]:
        """Take a look into account.

        A change is read when two looks agree. What is wrong then may be half of a change, and is looked at further, for
        as long as patience lasts; then it is read once more, and only another change has it read again.

        Args:
            used: the files in use, as they were when they were read.
            found: the files now.
            now: time of the look, in seconds.
            patience: seconds that somebody has for a change.
        """
        if found == used:
            return Watch(), Decision.AS_BEFORE if self.told else Decision.WAIT
        if self.closed and found == self.tried:
            return self, Decision.WAIT
        begins = self.closed or self.seen is None
        after = replace(self, seen=found, since=now if begins else self.since, closed=False)
        if not begins and now - after.since >= patience:
            return after, Decision.READ_AT_LAST
        agreed = not begins and found == self.seen
        return after, Decision.READ if agreed and found != self.tried else Decision.WAIT

    def refused(self, decision: Decision) -> Watch:
        """Take into account that what the last look found was read, to no avail."""
        if decision is Decision.READ_AT_LAST:
            return replace(self, tried=self.seen, told=True, closed=True)
        return replace(self, tried=self.seen)
