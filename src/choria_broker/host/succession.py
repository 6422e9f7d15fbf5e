"""What goes from a program to the one that replaces it in the same process: descriptors, and what it knows.

Whoever has something to leave is given the ``Succession`` of this program. While the broker stops because of an
upgrade, ``leaving`` is true: what the next program goes on with is left open, and its descriptor is bequeathed. What is
left lies in memory that has no name, so that nobody else can open it.
"""

from __future__ import annotations

import collections
import os
import socket
import tempfile
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from choria_broker.log.structured import component

FORMAT = 1
"""Version of the form in which a program leaves what it knows. What is added needs no other one, for what is unknown is
left out and what is missing has a default; what is told with another meaning does."""

_T = TypeVar("_T")
_log = component("broker")


class SuccessionError(Exception):
    """What a program left cannot be understood; the message is one sentence without its full stop."""


class _Left(msgspec.Struct, frozen=True):
    """Everything that a program leaves."""

    format: int
    told: dict[str, msgspec.Raw]
    descriptors: dict[str, int]


class Succession:
    """What the program before has left, and what this one leaves.

    Attributes:
        leaving: the process is about to run the next program.
        follows: there was a program before.
    """

    def __init__(self) -> None:
        """Begin with nothing: this program is the first of its process."""
        self.leaving = False
        self.follows = False
        self._told: dict[str, msgspec.Raw] = {}
        self._inherited: dict[str, int] = {}
        self._tells: dict[str, msgspec.Raw] = {}
        self._bequests: dict[str, int] = {}

    @classmethod
    def unpacked(cls, data: bytes, *, descriptors: bool = True) -> Succession:
        """Read what the program before has left.

        Args:
            data: as ``packed`` made it.
            descriptors: they are open in this process.

        Raises:
            SuccessionError: it is of another version, or damaged.
        """
        found = cls()
        try:
            left = msgspec.msgpack.decode(data, type=_Left)
        except msgspec.DecodeError as error:
            raise SuccessionError(f"the data that the running program hands over cannot be read: {error}") from error
        if left.format != FORMAT:
            raise SuccessionError(
                f"the running program hands over its data in format {left.format}, the installed program reads format "
                f"{FORMAT}"
            )
        found.follows = True
        found._told = left.told
        if descriptors:
            found._inherited = left.descriptors
            for each in left.descriptors.values():
                os.set_inheritable(each, False)  # noqa: FBT003 - the function's own interface
        return found

    def told(self, name: str, kind: type[_T]) -> _T | None:
        """Return what the program before knew about something.

        Returns:
            None when it left nothing of that name, or, with a warning, when that is not understood.
        """
        raw = self._told.get(name)
        if raw is None:
            return None
        try:
            return msgspec.msgpack.decode(raw, type=kind, dec_hook=_made)
        except (msgspec.DecodeError, TypeError, ValueError) as error:
            _log.warning("Some counts or history from before the upgrade are lost", part=name, why=str(error))
            return None

    def tell(self, name: str, what: object) -> None:
        """Leave what is known about something, as a value of plain types, dataclasses and paths."""
        self._tells[name] = msgspec.Raw(msgspec.msgpack.encode(what, enc_hook=_plain))

    def inherited(self, name: str) -> int | None:
        """Hand out a descriptor that the program before has left; whoever asks first has it, and closes it."""
        return self._inherited.pop(name, None)

    def inherited_socket(self, name: str) -> socket.socket | None:
        """Do the same for a socket."""
        descriptor = self.inherited(name)
        return None if descriptor is None else socket.socket(fileno=descriptor)

    def bequeath(self, name: str, descriptor: int) -> None:
        """Leave an open descriptor, as a duplicate."""
        self._bequests[name] = os.dup(descriptor)

    def close_unclaimed(self) -> None:
        """Close what was inherited and nobody asked for."""
        for descriptor in self._inherited.values():
            os.close(descriptor)
        self._inherited.clear()

    def packed(self) -> bytes:
        """Return everything that is left, for the next program."""
        return msgspec.msgpack.encode(_Left(FORMAT, self._tells, self._bequests))

    def passed_on(self) -> None:
        """Let the descriptors that are left outlive the replacement of the program."""
        for descriptor in self._bequests.values():
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the function's own interface

    def kept(self) -> Succession:
        """Return the succession of a program that goes on in place of the next one, which could not be run."""
        return self.unpacked(self.packed())


def unnamed(data: bytes, directory: Path | None = None) -> int:
    """Put data where only whoever has the descriptor can read it, and return that, at its beginning.

    Args:
        data: what to put there.
        directory: a private one, for hosts that have no such memory.

    Raises:
        OSError: there is no room.
    """
    try:
        descriptor = os.memfd_create("choria-broker", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        with tempfile.TemporaryFile(dir=directory) as file:
            descriptor = os.dup(file.fileno())
    if data:
        with open(descriptor, "wb", closefd=False) as writer:
            writer.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read_unnamed(descriptor: int) -> bytes:
    """Read what ``unnamed`` put there, and close it.

    Raises:
        OSError: it cannot be read.
    """
    with open(descriptor, "rb") as reader:
        reader.seek(0)
        return reader.read()


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, collections.deque):
        return list(value)
    if hasattr(value, "__dict__"):
        return vars(value)
    raise NotImplementedError(f"a {type(value).__name__} cannot be left to the next program")


def _made(kind: type, value: Any) -> object:
    """Make what the library does not know by itself."""
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Path:
        return Path(value)
    if origin is collections.Counter:
        return collections.Counter(msgspec.convert(value, dict[arguments[0], int]))  # type: ignore[valid-type]
    if origin is collections.OrderedDict:
        return collections.OrderedDict(msgspec.convert(value, dict[arguments[0], arguments[1]], dec_hook=_made))  # type: ignore[valid-type]
    raise NotImplementedError(f"a {kind} cannot be made of what was left")
