"""When to say that handshakes fail for want of a signature."""

from __future__ import annotations

import msgspec

from choria_broker.engine.events import Signings

EVERY = 60.0
"""Seconds between two notices."""

TEXT = "TLS handshakes failed because no key process signed in time"

REMEDY = (
    "If a fleet has just come back, they try again; otherwise look for lines about key processes in the log. A "
    "certificate with an ECDSA key needs a fraction of the CPU time"
)


class Notice(msgspec.Struct, frozen=True):
    """A line for the log.

    Attributes:
        failed: handshakes since the last notice.
        late, overflow, refused: how many of them waited too long, found too many waiting, or were refused by a process.
    """

    failed: int
    late: int
    overflow: int
    refused: int

    @property
    def fields(self) -> dict[str, str | int]:
        """What goes with the text."""
        return {**msgspec.structs.asdict(self), "remedy": REMEDY}


class Unsigned:
    """Remembers what was said; at most one notice a minute."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._said = Signings()
        self._last: float | None = None

    def notice(self, signings: Signings, now: float) -> Notice | None:
        """Return what is to be said.

        Args:
            signings: what came of signatures since the start of the engine.
            now: in seconds, of any clock.
        """
        said = self._said
        late, overflow = signings.late - said.late, signings.overflow - said.overflow
        refused = signings.refused - said.refused
        failed = late + overflow + refused
        if failed <= 0 or (self._last is not None and 0 <= now - self._last < EVERY):
            return None
        self._said, self._last = signings, now
        return Notice(failed, late, overflow, refused)
