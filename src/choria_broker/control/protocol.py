"""What is asked and answered over the control socket: one JSON object a line, each request answered by one line."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec

from choria_broker.access.selection import Selection
from choria_broker.audit.events import Wanted

LONGEST_REQUEST = 4096
"""Bytes of a request, its end of line included."""

LONGEST_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer, its end of line included."""

NOT_UNDERSTOOD = "not a valid request"
"""How the reason begins when a broker does not know a request, as one of another version may not."""

_T = TypeVar("_T")


class StatusRequest(msgspec.Struct, tag_field="request", tag="status", frozen=True):
    """Asks how the broker is."""


class DecisionRequest(msgspec.Struct, tag_field="request", tag="decision", frozen=True):
    """Asks what was decided about a connection, by the engine's number for it."""

    connection: int


class ReloadRequest(msgspec.Struct, tag_field="request", tag="reload", frozen=True):
    """Asks to read the configuration again.

    Attributes:
        dry_run: only tell what would come of it.
    """

    dry_run: bool = False


class DrainRequest(msgspec.Struct, tag_field="request", tag="drain", frozen=True):
    """Asks to move connections elsewhere, to take that back, or how far it is.

    Attributes:
        act: which of them.
        over: seconds over which connections are to be moved.
    """

    act: Literal["begin", "cancel", "look"] = "look"
    over: float = 0.0


class ConnectionsRequest(msgspec.Struct, tag_field="request", tag="connections", frozen=True):
    """Asks who is connected.

    Attributes:
        selection: whose connections are meant.
        after: the engine's number of the last one that is known already, 0 to begin.
    """

    selection: Selection = Selection()
    after: int = 0


class TopRequest(msgspec.Struct, tag_field="request", tag="top", frozen=True):
    """Asks over which connections most goes.

    Attributes:
        most: how many are listed.
        by: what is most.
    """

    most: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    by: Literal["rate", "bytes", "in", "out", "pending"] = "rate"


class EventsRequest(msgspec.Struct, tag_field="request", tag="events", frozen=True):
    """Asks what has happened since somebody last asked.

    Attributes:
        wanted: which events.
    """

    wanted: Wanted


StreamName = Annotated[str, msgspec.Meta(pattern=r"^[^\s.*>/\\\\]*$", max_length=255)]
"""The name of a stream; it becomes a part of a subject."""

SubjectFilter = Annotated[str, msgspec.Meta(pattern=r"^\S*$", max_length=1024)]


class ContentsRequest(msgspec.Struct, tag_field="request", tag="contents", frozen=True):
    """Asks what is in streams.

    Attributes:
        account: of which account; empty for all.
        stream: of this one only; empty for all.
        most: subjects of each that are told.
    """

    account: str = ""
    stream: StreamName = ""
    most: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10


class PurgeRequest(msgspec.Struct, tag_field="request", tag="purge", frozen=True):
    """Asks to delete messages of a stream.

    Attributes:
        stream: which one.
        account: that has it; empty for the usual one.
        subject: only messages of this subject, with or without wildcards; empty for all.
        keep: so many of the newest ones stay.
        up_to: only messages up to this number; 0 for all. With ``keep`` it means nothing.
        dry_run: only tell what would go.
        most: subjects that are told.
    """

    stream: Annotated[StreamName, msgspec.Meta(min_length=1)]
    account: str = ""
    subject: SubjectFilter = ""
    keep: Annotated[int, msgspec.Meta(ge=0)] = 0
    up_to: Annotated[int, msgspec.Meta(ge=0)] = 0
    dry_run: bool = False
    most: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10


class KickRequest(msgspec.Struct, tag_field="request", tag="kick", frozen=True):
    """Asks to end sessions, which may come again.

    Attributes:
        selection: whose sessions are meant.
        dry_run: only tell whom it would hit.
    """

    selection: Selection
    dry_run: bool = False


class FindRequest(msgspec.Struct, tag_field="request", tag="find", frozen=True):
    """Asks where somebody is, or was.

    Attributes:
        text: part of whatever somebody is known by.
    """

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class RevokeRequest(msgspec.Struct, tag_field="request", tag="revoke", frozen=True):
    """Asks to revoke somebody: whose entry is in the revocation file by now, or will be.

    Attributes:
        subject, value, until, issuer: of the entry, as people write them.
        dry_run: only tell whose sessions would end.
    """

    subject: str
    value: str
    until: str = ""
    issuer: str = ""
    dry_run: bool = False


class UpgradeRequest(msgspec.Struct, tag_field="request", tag="upgrade", frozen=True):
    """Asks to go on with the installed program."""


Request = (
    StatusRequest
    | DecisionRequest
    | ReloadRequest
    | DrainRequest
    | ConnectionsRequest
    | TopRequest
    | EventsRequest
    | ContentsRequest
    | PurgeRequest
    | KickRequest
    | FindRequest
    | RevokeRequest
    | UpgradeRequest
)
"""Everything that can be asked."""


class Answer(msgspec.Struct, Generic[_T], frozen=True, omit_defaults=True):
    """One answer: a result, or the reason there is none.

    Attributes:
        result: what was asked for.
        error: one sentence without its full stop, empty with a result.
    """

    result: _T | None = None
    error: str = ""
