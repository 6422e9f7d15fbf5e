"""What a page of the dashboard is: a row that says what it is called, what it needs to know, and what it shows."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from choria_broker.access.session import Departed, Session
from choria_broker.audit.acts import ActReport
from choria_broker.audit.decided import Decision
from choria_broker.sessions.documents import Found
from choria_broker.settings.broker import Settings
from choria_broker.stats.history import Drawn
from choria_broker.stats.standings import Standings
from choria_broker.status.document import Status
from choria_broker.status.settings_now import MemberReport, Members, SettingsNow

F = TypeVar("F")
V = TypeVar("V")


class Look(msgspec.Struct, frozen=True):
    """Who is connected, and who was a little earlier.

    Attributes:
        time: when they were listed, Unix seconds.
        sessions: those that are connected, with traffic.
        before: an earlier listing by number, empty without one.
        seconds: between both.
    """

    time: float
    sessions: tuple[Session, ...]
    before: Mapping[int, Session] = msgspec.field(default_factory=dict)
    seconds: float = 0.0


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker knows, for pages to ask.

    Attributes:
        clock: Unix time in seconds.
        settings: what it was told, as far as it is in force.
        status: how it is.
        look: who is connected; raises NotReadyError when the engine does not answer.
        departed: who was; raises the same.
        find: where somebody is or was, here and elsewhere; raises the same.
        decisions: the latest decisions, oldest first.
        authorities: content of the broker's CA file, as it is in force; empty without one.
        decision: the latest one about a connection, by the engine's number; None when it is not known any more.
        history: the last hour.
        standings: how streams stand, None as long as that is not known.
        settings_now: the settings with their places, as they may be shown, and what was found.
        acts: what operators did, the latest first.
        about: what this broker tells other members of itself.
        members: what these told last.
        bundle: makes the file for a ticket; raises BrokerError.
    """

    clock: Callable[[], float]
    settings: Callable[[], Settings]
    status: Callable[[], Status]
    look: Callable[[], Awaitable[Look]]
    departed: Callable[[], Awaitable[tuple[Departed, ...]]]
    find: Callable[[str], Awaitable[Found]]
    decisions: Callable[[], Sequence[Decision]]
    authorities: Callable[[], bytes]
    decision: Callable[[int], Decision | None]
    history: Callable[[], Drawn]
    standings: Callable[[], Standings | None]
    settings_now: Callable[[], SettingsNow]
    acts: Callable[[], Sequence[ActReport]]
    about: Callable[[], MemberReport]
    members: Callable[[], Members]
    bundle: Callable[[], Awaitable[bytes]]


class Asked(msgspec.Struct, frozen=True):
    """What a reader wants to see.

    Attributes:
        now: when that was asked, Unix seconds.
        values: what stands behind the question mark, or in the form that was sent; several for one name.
        posted: a form was sent that is not to stand in an address.
    """

    now: float
    values: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    posted: bool = False

    def text(self, name: str, otherwise: str = "") -> str:
        """Return a value without blanks around it, the last one where there are several."""
        return self.values.get(name, ("",))[-1].strip() or otherwise

    def number(self, name: str, otherwise: int) -> int:
        """Return a value that is a whole number above 0.

        Raises:
            BadInputError: it is none.
        """
        text = self.text(name)
        if not text:
            return otherwise
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text)):
            raise BadInputError(f"{name} must be a whole number above 0.", f"Leave {name} out of the address.")
        return int(text)


_DIGITS = 15


class BadInputError(Exception):
    """What was asked makes no sense, or is not there.

    Attributes:
        problem: a sentence about it.
        remedy: what to do, in a sentence.
        status: of the answer.
    """

    def __init__(self, problem: str, remedy: str, status: int = 400) -> None:
        """Say both."""
        super().__init__(problem)
        self.problem, self.remedy, self.status = problem, remedy, status


class Group(enum.StrEnum):
    """Headings of the menu, in its order."""

    NOW = "Now"
    NETWORK = "Network"
    BROKER = "Broker"


class Page(msgspec.Struct, Generic[F, V], frozen=True, kw_only=True):
    """A page of the dashboard; its module and its template have its name.

    Attributes:
        name: what stands in its address, and the name of its module and template.
        title: of the page.
        group: heading under which the menu has it; None for one that only other pages lead to.
        place: where it stands under that heading, the lowest first.
        facts: gets what it needs from the broker.
        view: makes of that what it shows, a frozen value; in a thread, so it may take its time.
        document: what the page tells programs; the view itself when it is left out.
        refresh: seconds between two looks of an open page; 0 for one that does not change by itself.
        posts: it takes forms that are not to stand in an address.
    """

    name: str
    title: str
    group: Group | None = None
    place: int = 0
    facts: Callable[[Knowledge, Asked], Awaitable[F]]
    view: Callable[[F, Asked], V]
    document: Callable[[V], object] | None = None
    refresh: int = 5
    posts: bool = False


def command(source: str, *words: str, text: str = "") -> str:
    """Write a command line as it is typed.

    Args:
        source: configuration file of the broker.
        words: the command and its options.
        text: what the command is about; never taken for an option.
    """
    about, last = ((), ("--", text)) if text.startswith("-") else ((text,) if text else (), ())
    return shlex.join(("choria-broker", *words, *about, "--config", source, *last))


async def status(known: Knowledge, _asked: Asked) -> Status:
    """Get how the broker is: all that many pages need."""
    return known.status()
