"""What the engine's log says about damaged, full and unwritable stores, in plain words and with what to do."""

from __future__ import annotations

import dataclasses
import enum
import logging
import re
from collections.abc import Callable


class Kind(enum.StrEnum):
    """Classes of trouble, as metrics name them."""

    NOT_RESTORED = "not-restored"
    """The engine started without a stream that lies in the store."""
    DAMAGED = "damaged"
    """Part of a stream's data cannot be read."""
    CUT = "cut"
    """The engine cut a stream's data short when it restored the stream."""
    DELETED = "deleted"
    """The engine deleted a stream that it could not restore, or that the cluster does not know."""
    WRITE_FAILED = "write-failed"
    """A stream could not be written and takes no more messages."""
    FULL = "full"
    """The store has reached its limit; no stream takes messages."""
    STREAMS_OFF = "streams-off"
    """The engine has turned Streams off."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong with the store.

    Attributes:
        kind: class of trouble.
        words: what is wrong and what it does, one sentence without its full stop.
        remedy: what to do.
        account: account of the stream, empty when it is not known or all are concerned.
        stream: name of the stream, empty when all are concerned.
        level: of the standard ``logging`` module.
    """

    kind: Kind
    words: str
    remedy: str
    account: str = ""
    stream: str = ""
    level: int = logging.ERROR


_RESTART = "then restart the broker: until then the engine refuses"
_NO_ROOM = "no space left on device"
_RESOURCES = {"file": "disk space", "memory": "memory"}


def recognise(line: str) -> Trouble | None:
    """Tell what a line of the engine's log means for the store, None when it means nothing for it.

    Args:
        line: the text without its prefix.
    """
    for pattern, describe in _LINES:
        if match := pattern.search(line):
            return describe(match)
    return None


def cut_short(account: str, stream: str, lost: int) -> Trouble:
    """Describe a stream whose files are shorter after the engine restored it.

    Args:
        account: its account.
        stream: its name.
        lost: bytes.
    """
    return Trouble(
        Kind.CUT,
        f"the data of stream {stream} of account {account} are {lost} bytes shorter than before the start: the engine "
        "cut off what it could not read",
        "compare the stream with a backup; nothing is needed when the broker or the machine did not stop in order",
        account,
        stream,
        logging.WARNING,
    )


def deleted(account: str, stream: str, kept: str) -> Trouble:
    """Describe a stream whose directory was gone after the start.

    Args:
        account: its account.
        stream: its name.
        kept: where its files are now.
    """
    return Trouble(
        Kind.DELETED,
        f"the engine could not restore stream {stream} of account {account} and deleted its directory; all its files "
        f"are kept in {kept}",
        "stop the broker, mend what the engine's line above names, move that directory back, and start again",
        account,
        stream,
    )


def _not_restored(match: re.Match[str]) -> Trouble:
    account, stream, directory = match["account"], match["stream"], match["directory"]
    return Trouble(
        Kind.NOT_RESTORED,
        f"the description of stream {stream} of account {account} is damaged or cannot be read, so the engine started "
        f"without the stream; its messages are untouched in {directory}",
        "let the broker's user read and write there, or restore the directory from a backup while the broker is "
        "stopped; a standard stream is made anew over its messages",
        account,
        stream,
    )


def _not_recreated(match: re.Match[str]) -> Trouble:
    stream, why = match["stream"], match["why"]
    remedy = "read the engine's reason, mend that, and restart the broker"
    if "replicas > 1" in why:
        remedy = (
            "this broker has no peers, and the stream has copies on several: start it in its cluster, or have the "
            "stream reduced to one copy there first; a standard stream is made anew over its messages"
        )
    elif _NO_ROOM in why:
        remedy = "make room, and restart the broker"
    return Trouble(Kind.NOT_RESTORED, f"the engine started without stream {stream}: {why}", remedy, stream=stream)


def _unsupported(match: re.Match[str]) -> Trouble:
    return Trouble(
        Kind.NOT_RESTORED,
        f"stream {match['stream']} of account {match['account']} was made by a newer nats-server: {match['why']}",
        "run the version of the broker that made it, or delete the stream",
        match["account"],
        match["stream"],
    )


def _damaged(match: re.Match[str]) -> Trouble:
    return Trouble(
        Kind.DAMAGED,
        f"messages of stream {match['stream']} are damaged on disk and are lost: {match['why']}",
        "check the disk, and restore what you need from a backup",
        stream=match["stream"],
    )


def _write_failed(match: re.Match[str]) -> Trouble:
    account, stream, why = match["account"], match["stream"], match["why"]
    remedy = "make room in the file system of the store" if _NO_ROOM in why else "mend the file system of the store"
    return Trouble(
        Kind.WRITE_FAILED,
        f"stream {stream} of account {account} takes no more messages, a write failed: {why}",
        f"{remedy}, {_RESTART} messages for this stream",
        account,
        stream,
    )


def _full(match: re.Match[str]) -> Trouble:
    return Trouble(
        Kind.FULL,
        f"Choria Streams have used all the {_RESOURCES[match['kind']]} they may, and refuse messages until some go",
        "free some: three quarters of what was free at the start is the limit, so make room and restart the broker, or "
        "lower the retention of streams",
    )


def _off(match: re.Match[str]) -> Trouble:
    return Trouble(
        Kind.STREAMS_OFF,
        f"the engine has turned Choria Streams off: {match.string.strip()}",
        f"make room, or let the broker's user write in the store, {_RESTART} everything about streams",
    )


def _orphan(match: re.Match[str]) -> Trouble:
    return Trouble(
        Kind.DELETED,
        f"the engine deleted its copy of stream {match['stream']} of account {match['account']}, which the cluster "
        "does not know",
        "restore it from a backup if it is missed",
        match["account"],
        match["stream"],
    )


_STREAM = r"'(?P<account>\S+) > (?P<stream>\S+)'"
_META = r'"(?P<directory>[^"]*/(?P<account>[^/"]+)/streams/(?P<stream>[^/"]+))/meta\.\w+"'
_LINES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Trouble]], ...] = (
    (
        re.compile(
            rf"^\s*(?:Missing stream (?:metafile for|checksum file)|Error reading (?:metafile|Stream metafile checksum)"
            rf"|Stream metafile|Error unmarshalling stream metafile) {_META}"
        ),
        _not_restored,
    ),
    (re.compile(r'^\s*Error recreating stream "(?P<stream>[^"]+)": (?P<why>.*)'), _not_recreated),
    (re.compile(rf"^\s*Detected unsupported stream {_STREAM}: (?P<why>.*)"), _unsupported),
    (
        re.compile(
            r"^Filestore \[(?P<stream>[^\]]+)\] (?P<why>(?:indexCacheBuf corrupt|loadBlock error|checkMsgs:).*)"
        ),
        _damaged,
    ),
    (re.compile(rf"^JetStream stream {_STREAM} critical write error: (?P<why>.*)"), _write_failed),
    (re.compile(r"^JetStream (?P<kind>file|memory) resource limits exceeded for server"), _full),
    (
        re.compile(
            r"^JetStream (?:out of [A-Za-z ]*, will be|being) DISABLED"
            r"|^(?:Filestore \[[^\]]+\] )?File system permission denied [a-z ]*, disabling JetStream"
        ),
        _off,
    ),
    (re.compile(rf"^Detected orphaned stream {_STREAM}, will cleanup"), _orphan),
)
