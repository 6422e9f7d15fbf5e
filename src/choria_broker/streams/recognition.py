"""What the engine's log says about damaged, full and unwritable stores, in plain words and with what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from choria_broker.patterns import expression
from choria_broker.streams.trouble import DAMAGED_BLOCKS, Mended, Trouble, TroubleKind

_RESTART = "then restart the broker: until then the engine refuses"
_NO_ROOM = "no space left on device"
_NOT_RESTORED = "it cannot be restored"
_NO_LONGER = "the cluster no longer has it"
"""Said of a stream that the cluster has had; one that it never knew may be another of the same name."""
_GET_BACK = (
    "move that directory to jetstream/{account}/streams/{stream} in the store of a stopped broker without peers: "
    "this one, or another from which to back up the stream; or remove it if the stream is not needed"
)
_GOES_ON = ("the cluster has it on other members", "the cluster goes on with it")
"""Said of a stream that the cluster has, but not here."""
_BACK_TO_CLUSTER = (
    "the stream {stream} that the cluster has now may lack these messages. Move that directory to "
    "jetstream/{account}/streams/{stream} in the store of another broker, stopped and without peers, start it, and "
    "run nats stream backup {stream} there; in the cluster run nats stream rm {stream}, then nats stream restore. Or "
    "remove the directory if the messages are not needed"
)
_CONSUMER_KEPT = (
    "no message of the stream is lost. The consumer may deliver messages again, or has to be created again (nats "
    "consumer add). Remove that directory when it is no longer needed"
)
_RESOURCES = {"file": "disk space", "memory": "memory"}


def recognise(line: str) -> Trouble | None:
    """Tell what a line of the engine's log means for the store, None when it means nothing for it.

    Args:
        line: the text without its prefix.
    """
    if not line.lstrip().startswith(_BEGINNINGS):
        return None  # As of nearly all lines, and at the start of all.
    for pattern, describe in _LINES:
        if match := pattern.search(line):
            return describe(match)
    return None


def mended(line: str) -> Mended | None:
    """Tell what a line of the engine's log says is mended, None when it says nothing of that.

    Args:
        line: the text without its prefix.
    """
    match = _MENDED.match(line)
    return Mended(match["account"], match["stream"], match["consumer"] or "") if match else None


def kept_earlier(place: str) -> Trouble:
    """Describe what an earlier engine would have deleted, and lies in the store since.

    Args:
        place: its directory.
    """
    account, _, rest = place.rpartition("/")[2].partition(".")
    stream = rest.partition(".")[0]
    words = f"a stream that the engine would have deleted is kept in {place}"
    remedy = _GET_BACK.format(account=account, stream=stream)
    if rest.endswith(DAMAGED_BLOCKS):
        words = f"damaged files of stream {stream} of account {account} are kept in {place}"
        remedy = "restore what you need from a backup, then remove that directory"
    return Trouble(TroubleKind.KEPT, words, remedy, account, stream, logging.INFO, place)


def _not_restored(match: re.Match[str]) -> Trouble:
    account, stream, directory = match["account"], match["stream"], match["directory"]
    return Trouble(
        TroubleKind.NOT_RESTORED,
        f"the description of stream {stream} of account {account} is damaged or unreadable, so the engine "
        f"started without the stream; its messages are untouched in {directory}",
        "give the broker's user read and write access to that directory, or restore it from a backup while the "
        "broker is stopped; a standard stream is created again over its messages",
        account,
        stream,
    )


def _not_recreated(match: re.Match[str]) -> Trouble:
    stream, why = match["stream"], match["why"]
    remedy = "fix the cause given by the engine and restart the broker"
    if "replicas > 1" in why:
        remedy = (
            "the stream has copies on several brokers and this broker has no peers: start it in its "
            "cluster, or first reduce the stream to one copy there; a standard stream is created again over "
            "its messages"
        )
    elif _NO_ROOM in why:
        remedy = "free disk space and restart the broker"
    return Trouble(
        TroubleKind.NOT_RESTORED, f"the engine started without stream {stream}: {why}", remedy, stream=stream
    )


_CONSUMER_STARTS_ANEW = "no message of the stream is lost, but programs that use that consumer get nothing"


def _consumer_not_restored(match: re.Match[str]) -> Trouble:
    account, stream, consumer, directory = match.group("account", "stream", "consumer", "directory")
    return Trouble(
        TroubleKind.NOT_RESTORED,
        f"the description of consumer {consumer} of stream {stream} of account {account} is damaged or cannot be read, "
        f"so the engine started without the consumer; {_CONSUMER_STARTS_ANEW}",
        "create the consumer again (nats consumer add) with the same description, and it continues where it was (do it "
        "soon if the stream has interest retention: it keeps nothing for a consumer that is not there); or "
        f"restore {directory} from a backup while the broker is stopped. In a cluster the other members repair it",
        account,
        stream,
        file=directory,
    )


def _consumer_state(match: re.Match[str]) -> Trouble:
    account, stream, consumer, why = match.group("account", "stream", "consumer", "why")
    file = f"jetstream/{account}/streams/{stream}/obs/{consumer}/o.dat"
    return Trouble(
        TroubleKind.NOT_RESTORED,
        f"the engine started without consumer {consumer} of stream {stream} of account {account}, because the "
        f"consumer's saved state cannot be used ({why}); {_CONSUMER_STARTS_ANEW}",
        f"stop the broker, restore {file} in the store from a backup or remove it, and start the broker: without it "
        "the consumer begins as its description says, so messages may be delivered again",
        account,
        stream,
        file=file,
    )


def _consumer_forgot(match: re.Match[str]) -> Trouble:
    account, stream, consumer, file, why = match.group("account", "stream", "consumer", "file", "why")
    return Trouble(
        TroubleKind.DAMAGED,
        f"the saved state of consumer {consumer} of stream {stream} of account {account} is lost, {why}: {file}; no "
        "message of the stream is lost, and the consumer starts again as its description says",
        "if messages must not be delivered again, or left out, create the consumer again where it was (nats consumer "
        f"add --deliver SEQUENCE), or restore {file} from a backup while the broker is stopped",
        account,
        stream,
        file=file,
    )


def _other_name(match: re.Match[str]) -> Trouble:
    account, stream, consumer, directory = match.group("account", "stream", "consumer", "directory")
    what = f"a consumer of stream {stream} of account {account}" if consumer else f"a stream of account {account}"
    other, copy = match["other"], match["here"].endswith("as well")
    remedy = f"stop the broker, rename it back to {other}, and start the broker"
    if copy:
        remedy = "move it out of the store, it is a copy: back up streams with nats stream backup"
    return Trouble(
        TroubleKind.NOT_RESTORED,
        f"{directory} has another name than {what} that its meta.inf describes, {other}, so the engine does not use it",
        remedy,
        account,
        stream,
        logging.WARNING if copy else logging.ERROR,
        file=directory,
    )


def _unsupported(match: re.Match[str]) -> Trouble:
    return Trouble(
        TroubleKind.NOT_RESTORED,
        f"stream {match['stream']} of account {match['account']} was created by a newer nats-server: {match['why']}",
        "run the broker version that created it, or delete the stream",
        match["account"],
        match["stream"],
    )


def _damaged(match: re.Match[str]) -> Trouble:
    return Trouble(
        TroubleKind.DAMAGED,
        f"messages of stream {match['stream']} are damaged on disk and lost: {match['why']}",
        "check the disk, and restore what you need from a backup",
        stream=match["stream"],
    )


def _lost(match: re.Match[str]) -> Trouble:
    account, stream, file, place = match.group("account", "stream", "file", "place")
    messages, size = int(match["messages"]), int(match["bytes"])
    how_many = [f"{messages} messages"] if messages else []
    if size:
        how_many.append(f"{size} bytes")
    words = f"{' and '.join(how_many) or 'messages'} of stream {stream} of account {account} are lost in {file}"
    words = f"{words}: {match['why']}{f'; the file as it was is kept in {place}' if place else ''}"
    remedy = "check the disk, and restore what you need from a backup"
    remedy = f"{remedy}; remove {place} when it is no longer needed" if place else remedy
    return Trouble(TroubleKind.DAMAGED, words, remedy, account, stream, place=place, file=file)


def _half_written(match: re.Match[str]) -> Trouble:
    account, stream = match["account"], match["stream"]
    words = (
        f"the last record of stream {stream} of account {account} was only half written, and "
        f"its {match['bytes']} bytes were cut off: the broker or the machine was not shut down cleanly"
    )
    remedy = "none needed; the sender of that message was not told that it was stored"
    return Trouble(TroubleKind.CUT, words, remedy, account, stream, logging.WARNING, file=match["file"])


def _not_cut(match: re.Match[str]) -> Trouble:
    account, stream, file = match["account"], match["stream"], match["file"]
    words = (
        f"part of stream {stream} of account {account} cannot be read: {file} is damaged, and was left in "
        "place because it "
    )
    remedy = "free disk space or give the broker's user write access to the store, then restart the broker"
    return Trouble(
        TroubleKind.DAMAGED, f"{words}cannot be kept: {match['problem']}", remedy, account, stream, file=file
    )


def _write_failed(match: re.Match[str]) -> Trouble:
    account, stream, why = match["account"], match["stream"], match["why"]
    remedy = "free space on the file system of the store" if _NO_ROOM in why else "repair the file system of the store"
    return Trouble(
        TroubleKind.WRITE_FAILED,
        f"stream {stream} of account {account} accepts no more messages because a write failed: {why}",
        f"{remedy}, {_RESTART} messages for this stream",
        account,
        stream,
    )


def _full(match: re.Match[str]) -> Trouble:
    return Trouble(
        TroubleKind.FULL,
        f"Choria Streams have used all the {_RESOURCES[match['kind']]} they are allowed, and refuse messages "
        "until space is freed",
        "remove messages or lower the retention of streams; or, as the limit is three quarters of what was free "
        "at start, free disk space and restart the broker",
    )


def _off(match: re.Match[str]) -> Trouble:
    if match["removed"]:
        return Trouble(
            TroubleKind.STREAMS_OFF,
            "this broker was removed from its cluster (peer-remove), so the engine has disabled Choria Streams; the "
            "streams in its store are untouched",
            "to make it a member again, restart it. If that is refused, start it once without peers, back up the "
            "streams whose only copy is here, and move its store away. Otherwise disable Choria Streams here",
        )
    return Trouble(
        TroubleKind.STREAMS_OFF,
        f"the engine has disabled Choria Streams: {match.string.strip()}",
        f"free disk space or give the broker's user write access to the store, {_RESTART} all requests about streams",
    )


def _kept(match: re.Match[str]) -> Trouble:
    account, stream, consumer, place, why = match.group("account", "stream", "consumer", "place", "why")
    what = f"consumer {consumer} of stream {stream}" if consumer else f"stream {stream}"
    words = f"the engine has dropped {what} of account {account}, {why}; all its files are kept in {place}"
    remedy = _GET_BACK.format(account=account, stream=stream)
    if consumer:
        remedy = _CONSUMER_KEPT
    elif why.startswith(_GOES_ON):
        remedy = _BACK_TO_CLUSTER.format(account=account, stream=stream)
    elif why.startswith(_NOT_RESTORED):
        remedy = f"fix that cause, then {remedy}"
    return Trouble(
        TroubleKind.KEPT, words, remedy, account, stream, place=place, absent=why == _NO_LONGER and not consumer
    )


def _stuck(match: re.Match[str]) -> Trouble:
    return Trouble(
        TroubleKind.KEPT,
        f"the engine has dropped stream {match['stream']} of account {match['account']}, {match['why']}; its "
        f"files stay in {match['place']} because they cannot be moved: {match['problem']}",
        "stop the broker, give its user write access to the store, and move that directory away before starting "
        "it again",
        match["account"],
        match["stream"],
    )


_BEGINNINGS = (
    "Consumer create failed",
    "Cut half-written",
    "Damaged consumer",
    "Detected unsupported",
    "Error ",
    "File system permission denied",
    "Filestore [",
    "JetStream ",
    "Kept ",
    "Left ",
    "Lost ",
    "Missing ",
    "Stream metafile",
)
"""How lines begin that one of the expressions may match."""

_MENDED = expression(
    r"Mended description of (?:stream|consumer) '(?P<account>\S+) > (?P<stream>[^'\s]+)(?: > (?P<consumer>[^'\s]+))?'"
)
_STREAM = r"'(?P<account>\S+) > (?P<stream>\S+)'"
_PATH = r"'(?P<account>\S+) > (?P<stream>[^'\s]+)(?: > (?P<consumer>[^'\s]+))?'"
_THREE = r"'(?P<account>\S+) > (?P<stream>\S+) > (?P<consumer>[^\s']+)'"
_CONSUMER_META = (
    r'"(?P<directory>[^"]*/(?P<account>[^/"]+)/streams/(?P<stream>[^/"]+)/obs/(?P<consumer>[^/"]+))/meta\.\w+"'
)
_META = r'"(?P<directory>[^"]*/(?P<account>[^/"]+)/streams/(?P<stream>[^/"]+))/meta\.\w+"'
_LINES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Trouble]], ...] = (
    (
        expression(
            r"^\s*(?:Damaged consumer|Stream) metafile "
            r'"(?P<directory>[^"]*/(?P<account>[^/"]+)/streams/(?P<stream>[^/"]+)(?:/obs/(?P<consumer>[^/"]+))?)'
            r'/meta\.inf": it is the description of "(?P<other>[^"]+)", (?P<here>which is .*)'
        ),
        _other_name,
    ),
    (
        expression(rf"^Lost state of consumer {_THREE} in \"(?P<file>[^\"]+)\": (?P<why>.*)"),
        _consumer_forgot,
    ),
    (
        expression(
            rf"^\s*(?:Missing stream (?:metafile for|checksum file)|Error reading (?:metafile|Stream metafile checksum)"
            rf"|Stream metafile|Error unmarshalling stream metafile) {_META}"
        ),
        _not_restored,
    ),
    (
        expression(
            r"^\s*(?:(?:Missing|Damaged|Error reading|Error unmarshalling) consumer metafile"
            rf"|Missing consumer checksum for) {_CONSUMER_META}"
        ),
        _consumer_not_restored,
    ),
    (expression(rf"^\s*(?:Error adding consumer|Consumer create failed for) {_THREE}: (?P<why>.*)"), _consumer_state),
    (expression(r'^\s*Error recreating stream "(?P<stream>[^"]+)": (?P<why>.*)'), _not_recreated),
    (expression(rf"^\s*Detected unsupported stream {_STREAM}: (?P<why>.*)"), _unsupported),
    (
        expression(r"^Filestore \[(?P<stream>[^\]]+)\] (?P<why>(?:loadBlock error|checkMsgs:).*)"),
        _damaged,
    ),
    (
        expression(
            rf"^Lost part of stream {_STREAM} in \"(?P<file>[^\"]+)\", (?P<messages>\d+) messages, "
            r"(?P<bytes>\d+) bytes, kept in \"(?P<place>[^\"]*)\": (?P<why>.*)"
        ),
        _lost,
    ),
    (
        expression(rf"^Cut half-written record of stream {_STREAM} in \"(?P<file>[^\"]+)\", (?P<bytes>\d+) bytes"),
        _half_written,
    ),
    (
        expression(
            rf"^Left damaged block of stream {_STREAM} in \"(?P<file>[^\"]+)\", it cannot be kept elsewhere: "
            r"(?P<problem>.*)"
        ),
        _not_cut,
    ),
    (expression(rf"^JetStream stream {_STREAM} critical write error: (?P<why>.*)"), _write_failed),
    (expression(r"^JetStream (?P<kind>file|memory) resource limits exceeded for server"), _full),
    (
        expression(
            r"^JetStream (?:out of [A-Za-z ]*, will be|being) DISABLED(?P<removed>, our server was removed)?"
            r"|^(?:Filestore \[[^\]]+\] )?File system permission denied [a-z ]*, disabling JetStream"
        ),
        _off,
    ),
    (expression(rf"^Kept (?:stream|consumer) {_PATH} in \"(?P<place>[^\"]+)\": (?P<why>.*)"), _kept),
    (
        expression(
            rf"^Left (?:stream|consumer) {_PATH} in \"(?P<place>[^\"]+)\", it cannot be kept elsewhere: "
            r"(?P<problem>.*); (?P<why>.*)"
        ),
        _stuck,
    ),
)
