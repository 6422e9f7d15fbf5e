"""What can be wrong with a store of streams, and what is not wrong any more."""

from __future__ import annotations

import enum
import logging

import msgspec


class TroubleKind(enum.StrEnum):
    """Classes of trouble, as metrics name them."""

    NOT_RESTORED = "not-restored"
    """The engine started without a stream that lies in the store."""
    DAMAGED = "damaged"
    """Messages of a stream are lost, for their files are damaged or missing."""
    CUT = "cut"
    """The last record of a stream was only half written, and was cut off."""
    KEPT = "kept"
    """The engine would have deleted a stream, or what a consumer remembers, and its files were moved away instead."""
    WRITE_FAILED = "write-failed"
    """A stream could not be written and takes no more messages."""
    FULL = "full"
    """The store has reached its limit; no stream takes messages."""
    STREAMS_OFF = "streams-off"
    """The engine has turned Streams off."""


class Trouble(msgspec.Struct, frozen=True):
    """Something that is wrong with the store.

    Attributes:
        kind: class of trouble.
        words: what is wrong and what it does, one sentence without its full stop.
        remedy: what to do.
        account: account of the stream, empty when it is not known or all are concerned.
        stream: name of the stream, empty when all are concerned.
        level: of the standard ``logging`` module.
        place: where files are kept, empty when none are.
        absent: they were moved there because the cluster no longer has the stream, which may be deleted on purpose.
        file: the damaged or missing file or directory, empty for other troubles.
    """

    kind: TroubleKind
    words: str
    remedy: str
    account: str = ""
    stream: str = ""
    level: int = logging.ERROR
    place: str = ""
    absent: bool = False
    file: str = ""

    @property
    def loses(self) -> bool:
        """Something of a stream is not there any more, or not where it can be used."""
        return self.level >= logging.ERROR and self.kind in {
            TroubleKind.DAMAGED,
            TroubleKind.KEPT,
            TroubleKind.NOT_RESTORED,
        }


class Mended(msgspec.Struct, frozen=True):
    """A damaged description that was written anew, of a stream, or of one of its consumers.

    Attributes:
        account: its account.
        stream: its name.
        consumer: the consumer's name, empty for the stream itself.
    """

    account: str
    stream: str
    consumer: str

    def ends(self, trouble: Trouble) -> bool:
        """Tell whether a trouble is none any more."""
        if (trouble.kind, trouble.account, trouble.stream) != (TroubleKind.NOT_RESTORED, self.account, self.stream):
            return False
        return trouble.file.endswith(f"/obs/{self.consumer}") if self.consumer else not trouble.file


DAMAGED_BLOCKS = ".damaged"
"""Ends the names of directories with damaged files of a stream, beside those of whole streams."""
