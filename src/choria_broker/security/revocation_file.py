"""The revocation file: one entry a line. Reading it, and writing one more."""

from __future__ import annotations

import datetime as dt

import msgspec

from choria_broker.patterns import expression
from choria_broker.security.distinguished_names import parts_of
from choria_broker.security.keys import is_hex_key
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Entry, EntryKind

_WORD = expression(r'(?:"(?:\\.|[^"\\])*"|[^\s"#])(?:"(?:\\.|[^"\\])*"|[^\s"])*')
_QUOTED = expression(r'"((?:\\.|[^"\\])*)"')
_ESCAPED = expression(r'\\(["\\])')
_NEEDS_QUOTES = expression(r'[\s"\\]|^#')
_HEX = expression(r"(?:0[xX])?[0-9A-Fa-f]+")
_LONGEST_VALUE = 1024


class EntryError(ValueError):
    """A line is no entry; the message says why, without its full stop."""


class Unreadable(msgspec.Struct, frozen=True):
    """A line that is no entry.

    Attributes:
        line: its number, counted from 1.
        problem: what is wrong with it, without a final full stop.
    """

    line: int
    problem: str


def read_entries(content: bytes, file: str) -> tuple[tuple[Entry, ...], tuple[Unreadable, ...]]:
    """Read a revocation file.

    Args:
        content: of the file.
        file: its path, for the place of each entry.

    Returns:
        The entries in their order, and the lines that are none: while there is one of those, the entries are not to be
        used.
    """
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            line = raw.decode()
            entry = read_entry(line, Origin(file, number))
        except UnicodeDecodeError:
            unreadable.append(Unreadable(number, "the line is not UTF-8"))
        except EntryError as error:
            unreadable.append(Unreadable(number, str(error)))
        else:
            if entry:
                entries.append(entry)
    return tuple(entries), tuple(unreadable)


def read_entry(line: str, origin: Origin) -> Entry | None:
    """Read one line, None when nothing but blanks or a comment is on it.

    Raises:
        EntryError: it is no entry.
    """
    words = _words(line)
    if not words:
        return None
    try:
        subject = EntryKind(words[0])
    except ValueError:
        raise EntryError(f"a line begins with one of {', '.join(EntryKind)}") from None
    if len(words) == 1 or not words[1]:
        raise EntryError(f"the value after {subject} is missing")
    options = _options(words[2:])
    entry = entry_of(subject, words[1], origin, until=options.pop("until", ""), issuer=options.pop("issuer", ""))
    if options:
        raise EntryError('after the value there may only be until=TIME, issuer="NAME" and # with a comment')
    return entry


def entry_of(subject: EntryKind, value: str, origin: Origin, *, until: str = "", issuer: str = "") -> Entry:
    """Make an entry of its parts as people write them.

    Raises:
        EntryError: one of them cannot be read.
    """
    if issuer and subject is not EntryKind.CERTIFICATE:
        raise EntryError("only a certificate has an issuer")
    parts = parts_of(issuer)
    if issuer and not parts:
        raise EntryError('the issuer is not a name such as "CN=Puppet CA: puppet.example.net"')
    moment = _moment(until) if until else None
    return Entry(subject, compared(subject, value), origin, moment, parts, issuer)


def compared(subject: EntryKind, value: str) -> str:
    """Return a value in the spelling in which it is compared.

    Raises:
        EntryError: it cannot be one.
    """
    if not value.isprintable() or not value.strip() or len(value) > _LONGEST_VALUE:
        raise EntryError(f"the value after {subject} is empty, too long, or has characters that do not print")
    if subject is EntryKind.KEY:
        if not is_hex_key(value):
            raise EntryError("a key is 64 hexadecimal digits")
        return value.lower()
    if subject is EntryKind.CERTIFICATE:
        digits = value.replace(":", "")
        if not _HEX.fullmatch(digits):
            raise EntryError("a certificate is named by its serial number in hexadecimal digits")
        return f"{int(digits, 16):x}"
    # Names of hosts differ in no other way.
    return value.casefold() if subject is EntryKind.IDENTITY else value


def write_entry(entry: Entry, value: str, comment: str = "") -> str:
    """Write an entry as a line without its end; reading it gives the same again.

    Args:
        entry: the entry.
        value: its value as it was given.
        comment: for people, on one line.
    """
    words = [entry.subject.value, _written(value)]
    if entry.until is not None:
        moment = dt.datetime.fromtimestamp(entry.until, dt.UTC)
        words.append(f"until={moment.isoformat(timespec='seconds').replace('+00:00', 'Z')}")
    if entry.issuer_told:
        words.append(f"issuer={_written(entry.issuer_told, always=True)}")
    told = " ".join("".join(each if each.isprintable() else " " for each in comment).split())
    return " ".join(words) + (f"  # {told}" if told else "")


def _words(line: str) -> list[str]:
    """Split a line at blanks outside of quotes; a # at the start of a word begins a comment."""
    words, place = [], 0
    while place < len(line):
        if line[place].isspace():
            place += 1
            continue
        if line[place] == "#":
            break
        found = _WORD.match(line, place)
        if not found or (found.end() < len(line) and not line[found.end()].isspace()):
            raise EntryError("a quotation mark is not closed")
        words.append(_QUOTED.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted.group(1)), found.group()))
        place = found.end()
    return words


def _options(words: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value or name in options:
            raise EntryError('after the value there may only be until=TIME, issuer="NAME" and # with a comment')
        options[name] = value
    return options


def _moment(text: str) -> float:
    try:
        moment = dt.datetime.fromisoformat(text)
        if "T" in text.upper() and moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise EntryError("a time is written as 2026-12-24T00:00:00Z")


def _written(value: str, *, always: bool = False) -> str:
    if not always and not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
