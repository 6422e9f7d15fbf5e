"""Documents on their way: which are acknowledged, which are sent again, and which are given up.

Where a stream takes what is published it answers. Where none does, the broker says at once that nobody listens; or,
when somebody listens who is no stream, nobody ever answers. An adapter publishes in all three cases, as the original
does, and waits for answers only where there are some. A stream without a leader, as after the restart of a cluster, is
one to which nobody listens: so at the beginning that is a reason to wait a while. Time is an argument.
"""

from __future__ import annotations

import enum

import msgspec

WINDOW = 1024
"""Documents that may be on their way at a time."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of the documents on their way, after which no more are sent."""

ANSWER = 5.0
"""Seconds in which a stream answers."""

AGAIN = 1.0
"""Seconds before a document is sent again that was refused; one more after each attempt, ``ANSWER`` at most."""

MOST_ATTEMPTS = 10
"""How often a document is sent before it is given up."""

PROBE = 60.0
"""Seconds without asking for answers, where nobody has answered."""

_NOBODY = b"NATS/1.0 503"


class End(enum.Enum):
    """What came of a document."""

    STORED = "stored"
    """A stream has it."""
    SENT = "sent"
    """It was published, and nobody says anything about it."""
    LOST = "lost"
    """It was sent again and again, and nobody took it."""


class Parcel(msgspec.Struct):
    """A document on its way.

    Attributes:
        subject: where to.
        data: the document.
        worker: which output worker has it.
        attempts: how often it was sent.
        due: when an answer is overdue, or it is to be sent again.
        refused: what the last answer said, empty without one.
    """

    subject: bytes
    data: bytes
    worker: int
    attempts: int = 0
    due: float = 0.0
    refused: str = ""


class Flight:
    """All documents that are on their way.

    Attributes:
        answered: a stream has answered, and did so as long as it was asked.
    """

    def __init__(self) -> None:
        """Nothing is on its way."""
        self._waiting: dict[int, Parcel] = {}
        self._again: list[Parcel] = []
        self._bytes = 0
        self._hopes = True
        self._number = 0
        self._probe_at = 0.0
        self._silent = False
        self.answered = False

    def __len__(self) -> int:
        """Return how many are on their way, or to be sent again."""
        return len(self._waiting) + len(self._again)

    @property
    def full(self) -> bool:
        """No more is to be sent."""
        return len(self) >= WINDOW or self._bytes >= MOST_BYTES

    def asks(self, now: float) -> bool:
        """Tell whether the next document is sent with a question for an answer."""
        if not self._silent:
            return True
        if now < self._probe_at:
            return False
        self._probe_at = now + PROBE
        return True

    def sent(self, parcel: Parcel, now: float) -> int:
        """Take a document that is about to be sent with a question, and return the number for its answer."""
        self._number += 1
        parcel.attempts += 1
        parcel.due = now + ANSWER
        self._waiting[self._number] = parcel
        self._bytes += len(parcel.data)
        return self._number

    def heard(self, number: int, headers: bytes, data: bytes, now: float) -> tuple[Parcel, End] | None:
        """Take an answer.

        Returns:
            The document and what came of it; None when nothing has come of it yet, or the number is of none.
        """
        parcel = self._taken(number)
        if parcel is None:
            return None
        nobody = headers.startswith(_NOBODY)
        refused = "nobody listens" if nobody else _refusal(data)
        if not refused:
            self.answered, self._silent = True, False
            return parcel, End.STORED
        parcel.refused = refused
        if nobody and not (self.answered or self._hopes):
            return parcel, End.SENT
        if parcel.attempts < MOST_ATTEMPTS:
            self._once_more(parcel, now + min(ANSWER, AGAIN * parcel.attempts))
            return None
        if nobody and not self.answered:
            self._hopes = False
            return parcel, End.SENT
        return parcel, End.LOST

    def denied(self, subject: bytes, words: str) -> Parcel | None:
        """Take the word that a document may not be published to a subject; return it, None when there is none."""
        number = next((number for number, each in self._waiting.items() if each.subject == subject), 0)
        parcel = self._taken(number)
        if parcel is not None:
            parcel.refused = words
        return parcel

    def unsent(self, number: int, parcel: Parcel) -> None:
        """Take a document back that was not sent after all; it is sent again soon.

        Args:
            number: for its answer, 0 when none was asked for.
            parcel: the document.
        """
        if self._taken(number) is not None:
            parcel.attempts -= 1
        self._once_more(parcel, 0.0)

    def forget(self, number: int) -> None:
        """Forget a document that is not sent after all."""
        self._taken(number)

    def is_due(self, now: float) -> bool:
        """Tell whether a document is to be sent again now."""
        return any(each.due <= now for each in self._again)

    def disconnected(self) -> None:
        """Send everything again: what was on its way may not have arrived."""
        for parcel in self._waiting.values():
            parcel.due = 0.0
            parcel.attempts -= 1
        self._again[:0] = self._waiting.values()
        self._waiting.clear()

    def overdue(self, now: float) -> list[tuple[Parcel, End]]:
        """Return the documents of which something has come by now, for nobody has answered."""
        ends: list[tuple[Parcel, End]] = []
        for number, parcel in list(self._waiting.items()):
            if parcel.due > now:
                break  # They were sent in the order of their numbers.
            self._taken(number)
            if not self.answered:
                self._silent, self._probe_at = True, now + PROBE
                ends.append((parcel, End.SENT))
                continue
            parcel.refused = "no answer"
            if parcel.attempts < MOST_ATTEMPTS:
                self._once_more(parcel, now + AGAIN)
                continue
            self.answered = False
            ends.append((parcel, End.LOST))
        return ends

    def again(self, now: float) -> list[Parcel]:
        """Return the documents that are to be sent again now."""
        due = [each for each in self._again if each.due <= now]
        self._again = [each for each in self._again if each.due > now]
        self._bytes -= sum(len(each.data) for each in due)
        return due

    def next_look(self, now: float) -> float:
        """Return in how many seconds there is something to look for, at the latest."""
        times = [each.due for each in self._again]
        if self._waiting:
            times.append(next(iter(self._waiting.values())).due)
        return max(0.0, min(times, default=now + ANSWER) - now)

    def _taken(self, number: int) -> Parcel | None:
        """Take a document out of those that wait for an answer."""
        parcel = self._waiting.pop(number, None)
        if parcel is not None:
            self._bytes -= len(parcel.data)
        return parcel

    def _once_more(self, parcel: Parcel, due: float) -> None:
        parcel.due = due
        self._again.append(parcel)
        self._bytes += len(parcel.data)


class _Error(msgspec.Struct):
    description: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def _refusal(data: bytes) -> str:
    """Say why a stream refuses a document, nothing when it has it."""
    if data[:1] != b"{":
        return ""  # A short form of yes.
    try:
        error = _decode(data).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return (error.description or "an error without words") if error else ""
