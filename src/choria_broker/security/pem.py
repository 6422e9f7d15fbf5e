"""PEM files as the engine reads them: stricter than other programs, and silent about what it passes over.

Key processes read their keys with it, so it imports nothing but what Python brings.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator
from typing import NamedTuple

_BEGIN = b"-----BEGIN "
_END = b"\n-----END "
_DASHES = b"-----"
_CERTIFICATE = _BEGIN + b"CERTIFICATE" + _DASHES
_PRIVATE_KEY = "PRIVATE KEY"
_BLANKS = b" \t"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SEQUENCE = (b"\x30\x80", b"\x30\x81", b"\x30\x82", b"\x30\x83")


class Block(NamedTuple):
    """One PEM block.

    Attributes:
        kind: what stands between ``BEGIN`` and the dashes, such as ``CERTIFICATE``.
        content: the bytes that were encoded; may be a private key.
        headers: True when there are lines such as ``Proc-Type: 4,ENCRYPTED`` before the content.
    """

    kind: str
    content: bytes
    headers: bool = False

    def __repr__(self) -> str:
        """Write the kind only."""
        return f"Block({self.kind!r})"


def blocks(data: bytes) -> tuple[Block, ...]:
    """Return the blocks that the engine finds in a file.

    A block begins at the beginning of a line and ends at the end of one. What is written otherwise is passed over, and
    so is everything between blocks.
    """
    return tuple(_blocks(data))


def _blocks(data: bytes) -> Iterator[Block]:
    place = 0
    while (end := data.find(_END, place)) >= 0:
        after = end + len(_END)
        begin = data.rfind(_BEGIN, place, end)
        found = None
        if begin >= 0 and (begin == place or data[begin - 1] == ord("\n")):
            found = _block(data, begin, end)
        if found:
            block, after = found
            yield block
        place = after


def _block(data: bytes, begin: int, end: int) -> tuple[Block, int] | None:
    """Read the block between two places, None when it is none; also return the place behind its last line."""
    first, place = _line(data, begin + len(_BEGIN))
    if not first.endswith(_DASHES):
        return None
    kind = first[: -len(_DASHES)]
    headers = False
    while True:
        line, following = _line(data, place)
        if b":" not in line:
            break
        headers, place = True, following
    if headers and place > end:
        return None
    last, behind = _line(data, end + len(_END))
    if last != kind + _DASHES:
        return None
    try:
        content = _decode(data[place:end].translate(None, b" \t\r\n"))
    except binascii.Error:
        return None
    return Block(kind.decode("utf-8", "replace"), content, headers), behind


def _decode(text: bytes) -> bytes:
    if len(text) % 4:
        # Python forgives a = too many.
        raise binascii.Error("part of it is missing, or there is too much")
    return binascii.a2b_base64(text, strict_mode=True)


def _line(data: bytes, place: int) -> tuple[bytes, int]:
    """Return a line without its end and blanks before that, and the place of the next one."""
    feed = data.find(b"\n", place)
    if feed < 0:
        return data[place:].rstrip(_BLANKS), len(data)
    return data[place:feed].removesuffix(b"\r").rstrip(_BLANKS), feed + 1


def private_key(data: bytes) -> Block | None:
    """Return the first private key in a file, which is the one that the engine takes; None when there is none."""
    kinds = (_PRIVATE_KEY, f" {_PRIVATE_KEY}")
    return next((block for block in blocks(data) if block.kind == kinds[0] or block.kind.endswith(kinds[1])), None)


def certificates(data: bytes) -> tuple[bytes, ...]:
    """Return the certificates in a file, each in PEM with what follows it, the engine may find them there or not."""
    return tuple(_CERTIFICATE + piece for piece in data.split(_CERTIFICATE)[1:])


def passed_over(data: bytes, kind: str) -> int:
    """Count the blocks that are meant to be of a kind and that the engine does not find."""
    begins = data.count(_BEGIN + kind.encode() + _DASHES)
    return begins - sum(block.kind == kind for block in blocks(data))


def fault_of_form(data: bytes) -> str:
    """Say what is wrong with the form of a file in which the engine finds less than is there.

    Returns:
        What is wrong, without a final full stop; empty when nothing is seen.
    """
    return next((problem for problem, seen in _FORMS if seen(data)), "")


def _is_utf16(data: bytes) -> bool:
    return data.startswith(_UTF16_MARKS) or b"\0-\0-\0-" in data


def _is_marked(data: bytes) -> bool:
    return data.startswith(_UTF8_MARK) and data.removeprefix(_UTF8_MARK).startswith(_DASHES)


def _ends_lines_alone(data: bytes) -> bool:
    return b"\r" in data and b"\n" not in data


def _is_indented(data: bytes) -> bool:
    return any(line[:1] in {b" ", b"\t"} and line.lstrip().startswith(_DASHES) for line in data.split(b"\n"))


def _has_text_before(data: bytes) -> bool:
    return any(_BEGIN in line and not line.startswith(_BEGIN) for line in data.split(b"\n"))


def _has_text_behind(data: bytes) -> bool:
    return any(line.startswith(_BEGIN) and not line.rstrip().endswith(_DASHES) for line in data.split(b"\n"))


_FORMS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("the file is empty", lambda data: not data.strip()),
    ("the file is in UTF-16", _is_utf16),
    ("the file is in DER form and not in PEM", lambda data: data.startswith(_SEQUENCE)),
    ("the file begins with a byte order mark, which hides its first block from the engine", _is_marked),
    ("the lines of the file end with only a carriage return", _ends_lines_alone),
    ("the lines with dashes are indented, so the engine does not see them", _is_indented),
    ("there is text before -----BEGIN on its line, so the engine does not see the block", _has_text_before),
    ("there is text after the dashes of a line that begins with -----BEGIN", _has_text_behind),
)
"""What can be wrong with a file, in the order in which it is looked for."""
