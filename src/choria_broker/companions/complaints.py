"""What is said about messages that are dropped: a few in full, and of the others how many there were."""

from __future__ import annotations

import time
from collections.abc import Callable

from choria_broker.log.structured import ComponentLog
from choria_broker.wording import plain, without_credentials

_MOST = 5
_EVERY = 60.0
_LONGEST = 200


class Complaints:
    """Bounds the warnings of one companion process.

    Args:
        log: where they go.
        clock: seconds, never going back.
    """

    def __init__(self, log: ComponentLog, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was said yet."""
        self._log = log
        self._clock = clock
        self._since = clock()
        self._said = self._unsaid = 0

    def say(self, text: str, message: bytes = b"", **fields: object) -> None:
        """Warn of a message that is dropped.

        Args:
            text: what is wrong.
            message: the message, of which a beginning is shown.
            fields: further fields of the line.
        """
        now = self._clock()
        if now - self._since >= _EVERY:
            if self._unsaid:
                self._log.warning("More messages were dropped", messages=self._unsaid, seconds=round(now - self._since))
            self._since, self._said, self._unsaid = now, 0, 0
        if self._said >= _MOST:
            self._unsaid += 1
            return
        self._said += 1
        shown = {"bytes": len(message), "begins": excerpt(message)} if message else {}
        self._log.warning(text, **fields, **shown)


def excerpt(message: bytes) -> str:
    """Return the beginning of a message, fit to be shown."""
    return plain(without_credentials(message[:_LONGEST].decode(errors="replace")))[:_LONGEST]
