"""Links, standard streams and companions that are in another state than before, as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from choria_broker.audit.events import EventBook, EventKind
from choria_broker.host.succession import Succession
from choria_broker.status.document import Status
from choria_broker.wording import sentence

_LEFT = "turns"
_States = dict[str, dict[str, str]]


class Turns:
    """Looks at the status again and again.

    Args:
        status: tells how the broker is.
        book: takes in what is otherwise.
    """

    def __init__(self, status: Callable[[], Status], book: EventBook) -> None:
        """Nothing was looked at yet."""
        self._status = status
        self._book = book
        self._before: _States = {}

    def look(self) -> None:
        """Tell what is in another state than at the look before; at the first one everything is."""
        status = self._status()
        for kind, found in ((EventKind.LINK, _links), (EventKind.STREAM, _streams), (EventKind.COMPANION, _companions)):
            now = dict(found(status))
            before = self._before.get(kind.value, {})
            for name, what, text in _changes(before, now):
                self._book.tell(kind, what, name, text=text)
            self._before[kind.value] = {name: state for name, (state, _) in now.items()}

    def remember(self, succession: Succession) -> None:
        """Tell the next program what was seen."""
        succession.tell(_LEFT, self._before)

    def recall(self, succession: Succession) -> None:
        """Go on with what the program before has seen."""
        self._before = succession.told(_LEFT, _States) or {}


def _changes(before: Mapping[str, str], now: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Tell name, state and words of what has changed, of what is new too; ``gone`` is the state of what is no more."""
    for name, (state, words) in now.items():
        if before.get(name) != state:
            yield name, state, sentence(words)
    for name in before:
        if name not in now:
            yield name, "gone", ""


def _links(status: Status) -> Iterator[tuple[str, tuple[str, str]]]:
    for link in status.links:
        if link.connected is not None:
            words = f"{link.kind.value}{f' at {link.address}' if link.address else ''}"
            yield (
                link.name,
                ("up", words) if link.connected else ("down", f"{words}: {link.why}" if link.why else words),
            )


def _streams(status: Status) -> Iterator[tuple[str, tuple[str, str]]]:
    now = status.streams_now
    stalled = {(each.account, each.stream): each.obstacle for each in now.standard if not each.writable} if now else {}
    for report in status.streams:
        obstacle = stalled.get((report.account, report.stream))
        state = "not-writable" if obstacle else str(report.state)
        yield f"{report.account}/{report.stream}", (state, obstacle or report.reason or report.outcome)


def _companions(status: Status) -> Iterator[tuple[str, tuple[str, str]]]:
    for each in status.companions:
        yield f"{each.kind} {each.name}", (each.state.replace(" ", "-"), each.sentence)
