"""What is in a stream: which subjects fill it, how fast, when it is full, and what a purge takes away."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from choria_broker.settings.durations import DAY

LARGEST = 100_000
"""Subjects of a stream beyond which the engine is not asked for each of them."""


class SubjectShare(msgspec.Struct, frozen=True):
    """One subject of a stream.

    Attributes:
        subject: the subject.
        messages: that it has there.
        share: of all messages of the stream, 0 to 1.
    """

    subject: str
    messages: int
    share: float


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a stream.

    Attributes:
        account, stream: which one.
        messages, bytes: how much it has.
        first, last: when its oldest and its newest message came, Unix seconds; None without any.
        last_sequence: number of its newest message; counts those that are gone too.
        max_age: seconds that a message is kept, 0 for ever.
        max_bytes: bytes that it may have, 0 for no limit of its own.
        subjects: how many subjects its messages have.
        filling: those with most messages; empty where there are too many to look at each.
        others: messages of the other subjects.
    """

    account: str
    stream: str
    messages: int
    bytes: int
    first: float | None = None
    last: float | None = None
    last_sequence: int = 0
    max_age: float = 0.0
    max_bytes: int = 0
    subjects: int = 0
    filling: tuple[SubjectShare, ...] = ()
    others: int = 0


class Outlook(msgspec.Struct, frozen=True):
    """How a stream goes on when messages come as they did.

    Attributes:
        messages_per_second: that come in.
        bytes_per_second: that come in, by the size of those that are there.
        days_until_full: until it, the store or its disk is full; None when it never is.
    """

    messages_per_second: float = 0.0
    bytes_per_second: float = 0.0
    days_until_full: float | None = None


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What a purge took away, or would.

    Attributes:
        dry_run: nothing was done.
        account, stream: of which stream.
        subject: only messages of this subject; empty for all.
        keep: so many of the newest ones stay.
        messages: that go, or went.
        bytes: of them, about; their real size is not known where some stay.
        left: messages of the stream that stay.
        oldest: when the oldest one came that goes, Unix seconds; None when that is not known.
        filling: subjects with most messages among those that are looked at.
        others: messages of the other subjects among them.
        up_to: number of the newest message that goes; later ones stay.
    """

    dry_run: bool
    account: str
    stream: str
    subject: str = ""
    keep: int = 0
    messages: int = 0
    bytes: int = 0
    left: int = 0
    oldest: float | None = None
    filling: tuple[SubjectShare, ...] = ()
    others: int = 0
    up_to: int = 0


def shares(subjects: Mapping[str, int], messages: int, most: int) -> tuple[tuple[SubjectShare, ...], int]:
    """Tell which subjects have most messages, and how many messages the others have.

    Args:
        subjects: messages by subject.
        messages: of the whole stream.
        most: subjects that are told.
    """
    ordered = sorted(subjects.items(), key=lambda item: (-item[1], item[0]))
    told = tuple(SubjectShare(name, count, round(count / max(messages, count), 4)) for name, count in ordered[:most])
    return told, sum(count for _, count in ordered[most:])


def outlook(now: Contents, room: int | None, before: Contents | None = None, seconds: float = 0.0) -> Outlook:
    """Tell how a stream goes on.

    Args:
        now: the stream.
        room: bytes that the store and its disk have left, None when that is not known.
        before: an earlier look at it; without one the rate is that between its oldest and its newest message.
        seconds: between both looks.
    """
    if not now.messages or now.first is None or now.last is None:
        return Outlook()
    if before is not None and seconds > 0:
        rate = max(now.last_sequence - before.last_sequence, 0) / seconds
    else:
        rate = now.messages / (now.last - now.first) if now.last > now.first and now.messages > 1 else 0.0
    bytes_rate = rate * now.bytes / now.messages
    rooms = [now.max_bytes - now.bytes] if now.max_bytes > 0 else []
    rooms += [room] if room is not None else []
    days = None
    if bytes_rate > 0 and rooms:
        left = max(min(rooms), 0)
        # What is older than is kept goes again, so the stream gets no larger than what comes in that time.
        grows_by = bytes_rate * now.max_age - now.bytes if now.max_age > 0 else float("inf")
        days = round(left / bytes_rate / DAY, 1) if grows_by > left else None
    return Outlook(round(rate, 3), round(bytes_rate, 1), days)
