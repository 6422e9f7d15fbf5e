"""Line grammar of configuration files: bytes in, settings and dropped lines out.

A line that is neither blank nor a comment is always either an entry or a dropped line; nothing is lost.
"""

from __future__ import annotations

import enum

import msgspec

from choria_broker.patterns import expression
from choria_broker.settings.findings import Origin
from choria_broker.values import Discreet, replace

BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Characters with the Unicode property White_Space; ``str.strip`` would also take separators such as U+001C."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_END = expression(rb"\r\n|\n|\r")


class Entry(Discreet, frozen=True):
    """One setting as written. Its text form leaves the value out, which may be a secret.

    Attributes:
        key: full key, the prefix of a ``plugin.d`` file included.
        value: text after the ``=``, never empty.
        origin: file and line.
        typed: False for entries that only reach the raw table, because their file does not feed declared settings.
        latin1: True when the line is not UTF-8 and was read as Latin-1.
    """

    key: str
    value: str
    origin: Origin
    typed: bool = True
    latin1: bool = False

    def __repr__(self) -> str:
        """Write key and origin."""
        return f"Entry({self.key!r}, {str(self.origin)!r})"


class Drop(enum.StrEnum):
    """Why a line is not a setting."""

    NO_EQUALS = "no '=' between a key and a value"
    NO_KEY = "no key before the '='"
    NO_VALUE = "no value after the '='"
    NUL = "a NUL character in the line"


class Dropped(msgspec.Struct, frozen=True):
    """A line that says nothing.

    Attributes:
        origin: file and line.
        reason: why.
        key: what stands before the ``=``, or the first word of a line without one; may be empty.
    """

    origin: Origin
    reason: Drop
    key: str = ""


class Document(msgspec.Struct, frozen=True):
    """All lines of one or several files, in reading order."""

    entries: tuple[Entry, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    def __add__(self, other: Document) -> Document:
        """Append the lines of a file that is read later."""
        return Document(self.entries + other.entries, self.dropped + other.dropped)


def parse(data: bytes, file: str, *, prefix: str = "", typed: bool = True) -> Document:
    """Read the text of one file.

    Args:
        data: content of the file; UTF-8, with or without byte order mark. Lines of any
            length end at a line feed, a carriage return, or both, as editors of all times write them.
        file: name of the file for messages.
        prefix: put before every key, for example ``plugin.choria.`` for ``plugin.d/choria.cfg``.
        typed: False when the file does not feed declared settings.

    Returns:
        The entries and the dropped lines, in order.
    """
    entries: list[Entry] = []
    dropped: list[Dropped] = []
    for number, line in enumerate(_LINE_END.split(data.removeprefix(_BYTE_ORDER_MARK)), start=1):
        text, latin1 = _decode(line)
        text = text.strip(BLANKS)
        if not text or text.startswith("#"):
            continue
        found = _split(text, Origin(file, number), prefix)
        if isinstance(found, Dropped):
            dropped.append(found)
        else:
            entries.append(replace(found, typed=typed, latin1=latin1))
    return Document(tuple(entries), tuple(dropped))


def _decode(line: bytes) -> tuple[str, bool]:
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        return line.decode("latin-1"), True


def _split(text: str, origin: Origin, prefix: str) -> Entry | Dropped:
    if "\0" in text:
        return Dropped(origin, Drop.NUL)
    # The first character always belongs to the key, so a line may start with '=' and still hold a setting.
    at = text.find("=", 1)
    if at < 0:
        word = text.split(maxsplit=1)[0] if text.split() else ""
        if text.startswith("="):
            return Dropped(origin, Drop.NO_KEY)
        return Dropped(origin, Drop.NO_EQUALS, prefix + word)
    key = text[:at].rstrip(BLANKS)
    value = text[at + 1 :].lstrip(BLANKS)
    if not value:
        return Dropped(origin, Drop.NO_VALUE, prefix + key)
    return Entry(prefix + key, value, origin)
