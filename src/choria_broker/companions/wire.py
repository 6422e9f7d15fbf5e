"""The client's side of the NATS protocol, as far as messages go: what arrives taken apart, and what is sent made.

The library does this for one message at a time, with a task of its own; here everything that one read brings is one
step, which is what makes a process able to move many messages.
"""

from __future__ import annotations

from collections.abc import Iterable

Message = tuple[bytes, bytes, bytes, bytes]
"""Subject, reply subject, headers, data; the reply subject and the headers are empty where there are none."""

LONGEST = 64 * 1024 * 1024
"""Bytes of a message that may be told to come; no broker allows more."""

_LONGEST_LINE = 1024 * 1024
_END = b"\r\n"
_PUB = b"PUB "


class WireError(Exception):
    """What arrives is not the protocol; the message is one sentence without its full stop."""


class Feed:
    """Takes apart what arrives on one connection."""

    def __init__(self) -> None:
        """Nothing has arrived."""
        self._rest = b""

    def take(self, data: bytes) -> tuple[dict[int, list[Message]], list[bytes]]:
        """Take the next bytes.

        Returns:
            The messages that are complete, in their order, by subscription; and the lines that are no messages.

        Raises:
            WireError: it is not the protocol; nothing that follows can be understood.
        """
        buffer = self._rest + data if self._rest else data
        messages: dict[int, list[Message]] = {}
        lines: list[bytes] = []
        begin = 0
        while (end := buffer.find(_END, begin)) >= 0:
            kind = buffer[begin : begin + 4]
            if kind == b"MSG ":
                words, headers = buffer[begin + 4 : end].split(), 0
            elif kind == b"HMSG":
                words = buffer[begin + 5 : end].split()
                headers = _number(words.pop(-2)) if len(words) > 3 else -1  # noqa: PLR2004 - they have one word more
            else:
                lines.append(buffer[begin:end])
                begin = end + 2
                continue
            if not 3 <= len(words) <= 4:  # noqa: PLR2004 - subject, number, perhaps a reply subject, size
                raise WireError("a message without subject, subscription or size")
            size = _number(words[-1])
            if not 0 <= headers <= size <= LONGEST:
                raise WireError("a message of an impossible size")
            data_begin, data_end = end + 2 + headers, end + 2 + size
            if len(buffer) < data_end + 2:
                break
            message = (
                words[0],
                words[2] if len(words) == 4 else b"",  # noqa: PLR2004 - the same
                buffer[end + 2 : data_begin],
                buffer[data_begin:data_end],
            )
            messages.setdefault(_number(words[1]), []).append(message)
            begin = data_end + 2
        else:
            if len(buffer) - begin > _LONGEST_LINE:
                raise WireError("a line without end")
        self._rest = buffer[begin:]
        return messages, lines


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > 18:  # noqa: PLR2004 - what 64 bits hold
        raise WireError("a number that is none")
    return int(text)


def published(subject: bytes, data: bytes, reply: bytes = b"") -> bytes:
    """Make what publishes a message; the caller has checked the subjects."""
    if reply:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, len(data), data)
    return b"PUB %b %d\r\n%b\r\n" % (subject, len(data), data)


def published_to(subjects: Iterable[bytes], data: bytes) -> bytes:
    """Make what publishes the same to many subjects; the caller has checked them."""
    tail = b" %d\r\n%b\r\n" % (len(data), data)
    commands = (tail + _PUB).join(subjects)
    return b"".join((_PUB, commands, tail)) if commands else b""


def subscribed(subject: str, queue: str, number: int) -> bytes:
    """Make what subscribes to a subject, as a member of a queue group unless its name is empty."""
    return f"SUB {subject} {queue} {number}\r\n".encode() if queue else f"SUB {subject} {number}\r\n".encode()


def unsubscribed(number: int) -> bytes:
    """Make what ends a subscription."""
    return b"UNSUB %d\r\n" % number
