"""Choria Streams, and the one table of the standard streams.

A stream more is a row more: its settings, their place in the reference, and the stream itself follow from it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from choria_broker.settings.durations import DAY

ADVISORIES = "CHORIA_STREAM_ADVISORIES"
EVENTS = "CHORIA_EVENTS"
BROKER_EVENTS = "choria.broker.event.>"
"""What brokers publish of themselves, where the setting says so."""

_EXECUTOR_INPUT = "choria.submission.in.choria.executor.>"


class StandardStream(msgspec.Struct, frozen=True, kw_only=True):
    """One standard stream; in the table with its defaults, in settings with what the operator chose.

    Attributes:
        name: of the stream.
        key: what the names of its settings begin with.
        subjects: what it keeps.
        keeps: the same in words, for the reference.
        retention: seconds a message is kept, 0 or less: the stream is left alone.
        replicas: copies, -1 for one on each peer; in a plan, as many as there are.
        since: go-choria's first releases with the settings of retention and replicas; ``new`` for this project's own.
        elects: it holds elections: always managed, and its retention is how long a leader stays one.
        description: for people, empty when there is none.
        discard: ``old`` or ``new``: what goes when a limit is reached.
        max_msgs_per_subject: messages kept of one subject, -1 for no limit.
        max_msg_size: bytes of a message, -1 for no limit.
        deny_delete: messages cannot be deleted by hand.
        allow_rollup: a message may replace all earlier ones of its subject.
        allow_direct: messages can be read from any copy.
        transform: subject to match and what it becomes in the stream, None when subjects stay.
    """

    name: str
    key: str
    subjects: tuple[str, ...]
    keeps: str
    retention: float
    replicas: int = -1
    since: tuple[str, str] = ("new", "new")
    elects: bool = False
    description: str = ""
    discard: str = "old"
    max_msgs_per_subject: int = -1
    max_msg_size: int = -1
    deny_delete: bool = False
    allow_rollup: bool = False
    allow_direct: bool = False
    transform: tuple[str, str] | None = None

    @property
    def retention_key(self) -> str:
        """The setting of its retention, without the prefix of Streams."""
        return self.key + ("_ttl" if self.elects else "_retention")

    @property
    def replicas_key(self) -> str:
        """The setting of its copies, without the prefix of Streams."""
        return self.key + "_replicas"


# fmt: off
STANDARD_STREAMS = (
    StandardStream(name=EVENTS, key="event", subjects=("choria.lifecycle.>",), keeps="lifecycle events",
                   retention=DAY, since=("0.15", "0.21")),
    StandardStream(name="CHORIA_MACHINE", key="machine", subjects=("choria.machine.>",),
                   keeps="autonomous agent events", retention=DAY, since=("0.15", "0.21")),
    StandardStream(name=ADVISORIES, key="advisory", subjects=("$JS.EVENT.ADVISORY.>",), keeps="stream advisories",
                   retention=7 * DAY, since=("0.16", "0.21")),
    StandardStream(name="CHORIA_EXECUTOR", key="executor", subjects=(_EXECUTOR_INPUT,), keeps="executor events",
                   retention=DAY, since=("0.30", "0.30"), description="Choria Executor Events", allow_direct=True,
                   transform=(_EXECUTOR_INPUT, "choria.executor.>")),
    StandardStream(name="KV_CHORIA_LEADER_ELECTION", key="leader_election", subjects=("$KV.CHORIA_LEADER_ELECTION.>",),
                   keeps="the election bucket", retention=60.0, since=("0.25", "0.25"), elects=True,
                   description="Choria Leader Election Bucket", discard="new", max_msgs_per_subject=1,
                   max_msg_size=1024, deny_delete=True, allow_rollup=True, allow_direct=True),
)
"""All of them, in the order they are made."""
# fmt: on


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """Choria Streams; ``store`` None means off.

    Attributes:
        store: directory of the data.
        manage: create and update the standard streams.
        standard: the standard streams, in the order they are made.
        sync: seconds between writes to disk, 0.0 for every message, None for the engine's own choice.
    """

    store: Path | None = None
    manage: bool = True
    standard: tuple[StandardStream, ...] = STANDARD_STREAMS
    sync: float | None = None
