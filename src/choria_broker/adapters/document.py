"""The document that an adapter publishes, and the subject it publishes it to."""

from __future__ import annotations

import datetime as dt

import msgspec

from choria_broker.adapters.unwrap import Unwrapped
from choria_broker.companions.subjects import LONGEST, may_stand_in

PROTOCOL = "choria:adapters:choria_streams:output:1"
"""Of the document, for adapters of both types."""

_SECOND = 1_000_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Document(msgspec.Struct):
    protocol: str
    data: str
    sender: str
    time: str
    requestid: str


_encode = msgspec.json.Encoder().encode


def document(found: Unwrapped) -> bytes:
    """Make the document of a message: compact JSON, with its keys always there and in this order."""
    return _encode(_Document(PROTOCOL, found.body, found.sender, rfc3339(found.nanoseconds), found.request))


def rfc3339(nanoseconds: int) -> str:
    """Write a moment in UTC, with as many digits of the second as it needs, nine at most.

    Args:
        nanoseconds: Unix time, in the years up to 9999.
    """
    seconds, rest = divmod(nanoseconds, _SECOND)
    text = (_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    text = text.rjust(19, "0")
    return f"{text}.{rest:09d}".rstrip("0") + "Z" if rest else f"{text}Z"


class Target:
    """Where documents go.

    Args:
        template: a subject in which each ``%s`` is the sender.
    """

    def __init__(self, template: str) -> None:
        """Keep the parts."""
        self._parts = template.split("%s")
        self._fixed = template.encode() if len(self._parts) == 1 else b""
        self._sender_first = not self._parts[0]

    def subject(self, sender: str) -> bytes | None:
        """Return the subject for the documents of a sender.

        Args:
            sender: as a message names it; anybody may write anything there.

        Returns:
            None when it would not be one that may be published to.
        """
        if self._fixed:
            return self._fixed
        if not may_stand_in(sender) or (self._sender_first and sender.startswith("$")):
            return None
        made = sender.join(self._parts).encode()
        return made if len(made) <= LONGEST else None
