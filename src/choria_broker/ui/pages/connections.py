"""Who is connected: chosen, sorted and divided into pages by the broker, with the choice in the address."""

from __future__ import annotations

import collections
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from choria_broker.access.selection import SELECTORS, Selection, SelectionError, mentions, selector
from choria_broker.access.session import KINDS, Rates, Session
from choria_broker.sessions.words import SORTS, measured, name_of
from choria_broker.ui.page import Asked, BadInputError, Group, Knowledge, Look, Page
from choria_broker.values import replace

SIZES = (50, 100, 200, 500)
_USUAL_SIZE = 100
_LONGEST = 512

_DIRECT = ("identity", "caller", "address", "account", "kind", "method")
"""Those that the form always shows; the others are shown once they are set."""

_HINTS = {"identity": "web*.example.net", "address": "192.0.2.0/24", "caller": "up=bob"}


class Column(msgspec.Struct, frozen=True):
    """A column of the table.

    Attributes:
        title: its heading.
        sort: by what it can be sorted, empty for one that cannot.
        number: it has numbers, which stand at the right.
        link: query of the address that sorts by it, the other way round if it is sorted by it already.
        direction: ``ascending``, ``descending`` or empty, as the table is sorted.
    """

    title: str
    sort: str = ""
    number: bool = False
    link: str = ""
    direction: str = ""


_COLUMNS = (
    Column("Name", "name"),
    Column("Connection", "cid", number=True),
    Column("Kind"),
    Column("Account", "account"),
    Column("Address", "address"),
    Column("Method"),
    Column("Since", "since"),
    Column("Round trip", "rtt", number=True),
    Column("Pending", "pending", number=True),
    Column("In /s", number=True),
    Column("Out /s", "rate", number=True),
)
_LARGE_FIRST = frozenset({"rtt", "pending", "rate"})


class Row(msgspec.Struct, frozen=True):
    """A connection in the table.

    Attributes:
        session: the connection.
        name: whose it is, as well as that is known.
        rates: what goes over it in a second.
    """

    session: Session
    name: str
    rates: Rates


class Share(msgspec.Struct, frozen=True):
    """How many connections have something in common.

    Attributes:
        name: what.
        count: how many.
        link: query of the address that shows only those.
    """

    name: str
    count: int
    link: str


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows.

    Attributes:
        time: when they were listed, Unix seconds.
        everybody: how many are connected.
        matching: how many of them are meant.
        first, last: the places of the first and last one shown, counted from 1; 0 without any.
        rows: those that are shown.
        columns: headings.
        text: what is searched for.
        filters: what is set of the filters, by name.
        direct: names of the filters that the form shows.
        choices: what some of them can be.
        hints: examples of others.
        sizes: how many rows a page can have.
        sort: by what it is sorted, with a minus in front where it is the other way round.
        size: rows of a page.
        page, pages: which of how many this is.
        previous, following: queries of the pages before and after, empty where there is none.
        over: seconds over which rates were measured; 0 for averages since connections were made.
        kinds, accounts: how those that are meant are divided.
        command: words of the command that shows the same.
        query: of the address, for the document.
    """

    time: float
    everybody: int
    matching: int
    first: int
    last: int
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    text: str
    filters: Mapping[str, str]
    direct: tuple[str, ...]
    choices: Mapping[str, tuple[str, ...]]
    hints: Mapping[str, str]
    sizes: tuple[int, ...]
    sort: str
    size: int
    page: int
    pages: int
    previous: str
    following: str
    over: float
    kinds: tuple[Share, ...]
    accounts: tuple[Share, ...]
    command: tuple[str, ...]
    query: str


async def facts(known: Knowledge, _asked: Asked) -> Look:
    """Get who is connected."""
    return await known.look()


def view(found: Look, asked: Asked) -> Connections:
    """Choose, sort and cut.

    Raises:
        BadInputError: a filter or the page makes no sense.
    """
    wanted = _Wanted(asked)
    meant = wanted.chosen(found.sessions)
    pages = max(-(-len(meant) // wanted.size), 1)
    if wanted.page > pages:
        last = "There is only one page" if pages == 1 else f"There are only {pages} pages"
        raise BadInputError(f"{last} of these connections.", "Leave page out of the address.", 404)
    start = (wanted.page - 1) * wanted.size
    shown = _sorted(found, meant, wanted)[start : start + wanted.size]
    return Connections(
        time=found.time,
        everybody=len(found.sessions),
        matching=len(meant),
        first=start + 1 if shown else 0,
        last=start + len(shown),
        rows=tuple(Row(each, name_of(each), measured(each, found.time, found.before, found.seconds)) for each in shown),
        columns=tuple(wanted.column(each) for each in _COLUMNS),
        text=wanted.text,
        filters=wanted.filters,
        direct=_DIRECT,
        choices=wanted.choices(found.sessions),
        hints=_HINTS,
        sizes=SIZES,
        sort=wanted.sort,
        size=wanted.size,
        page=wanted.page,
        pages=pages,
        previous=wanted.query(page=wanted.page - 1) if wanted.page > 1 else "",
        following=wanted.query(page=wanted.page + 1) if wanted.page < pages else "",
        over=found.seconds if found.before else 0.0,
        kinds=wanted.shares("kind", meant),
        accounts=wanted.shares("account", meant),
        command=tuple(wanted.command()),
        query=wanted.query(page=wanted.page),
    )


def _sorted(found: Look, meant: Sequence[Session], wanted: _Wanted) -> list[Session]:
    """Sort connections; what goes over each is worked out whole only for those that are shown."""
    if wanted.key == "rate":
        rows = sorted(meant, key=lambda each: (-_messages(each, found), each.connection))
    else:
        key, nothing = SORTS[wanted.key], Rates()
        rows = sorted(meant, key=lambda each: key(each, nothing))  # type: ignore[arg-type, return-value] # each sort has one type
    return rows[::-1] if wanted.backwards else rows


def _messages(session: Session, found: Look) -> float:
    """Tell how many messages go over a session in a second."""
    traffic, before = session.traffic, found.before.get(session.connection)
    if traffic is None:
        return 0.0
    count, seconds = traffic.in_msgs + traffic.out_msgs, found.time - session.since
    if before is not None and before.traffic is not None:
        count, seconds = count - before.traffic.in_msgs - before.traffic.out_msgs, found.seconds
    return count / seconds if seconds > 0 else 0.0


def document(shown: Connections) -> object:
    """Tell programs the same as the command does, and which page it is."""
    return {
        "time": shown.time,
        "total": shown.matching,
        "page": shown.page,
        "pages": shown.pages,
        "connections": [msgspec.to_builtins(each.session) | {"rates": each.rates} for each in shown.rows],
    }


class _Wanted:
    """What a reader wants to see of all connections."""

    def __init__(self, asked: Asked) -> None:
        self.text = asked.text("text")
        self.filters = {name: text for name in SELECTORS if (text := asked.text(name))}
        if max(map(len, (self.text, *self.filters.values()))) > _LONGEST:
            raise BadInputError("A filter is too long.", f"Shorten it to {_LONGEST} characters.")
        self.sort = asked.text("sort", "cid")
        self.key = self.sort.removeprefix("-")
        self.backwards = self.sort != self.key
        if self.key not in SORTS:
            raise BadInputError(
                f"Connections cannot be sorted by {self.key}.", f"Sort them by one of {', '.join(SORTS)}."
            )
        self.size = asked.number("size", _USUAL_SIZE)
        if self.size not in SIZES:
            raise BadInputError(
                f"A page cannot have {self.size} rows.", f"Choose one of {', '.join(map(str, SIZES))} as size."
            )
        self.page = asked.number("page", 1)

    def chosen(self, sessions: Sequence[Session]) -> tuple[Session, ...]:
        try:
            meant = selector(msgspec.convert(self.filters, Selection))
        except SelectionError as error:
            problem = f"{str(error)[:1].upper()}{str(error)[1:]}."
            raise BadInputError(problem, "Correct the filter, or leave it out.") from error
        text = self.text
        return tuple(each for each in sessions if meant(each) and (not text or mentions(each, text)))

    def choices(self, sessions: Sequence[Session]) -> Mapping[str, tuple[str, ...]]:
        """Tell what filters can be of which there are few values; what is set is among them."""
        found = {
            "account": {each.account for each in sessions},
            "kind": set(KINDS),
            "method": {each.holder.method for each in sessions},
        }
        return {name: tuple(sorted({*each, self.filters.get(name, "")} - {""})) for name, each in found.items()}

    def query(self, *, sort: str = "", page: int = 1, **filters: str) -> str:
        """Write the query of an address that shows the same, but for something."""
        values = {"text": self.text, **self.filters, **filters}
        sort = sort or self.sort
        values["sort"] = "" if sort == "cid" else sort
        values["size"] = "" if self.size == _USUAL_SIZE else str(self.size)
        values["page"] = "" if page == 1 else str(page)
        return urllib.parse.urlencode({name: value for name, value in values.items() if value})

    def column(self, column: Column) -> Column:
        """Say what a heading leads to."""
        if not column.sort:
            return column
        direction, other = "", column.sort
        if column.sort == self.key:
            falling = self.backwards != (self.key in _LARGE_FIRST)
            direction = "descending" if falling else "ascending"
            other = column.sort if self.backwards else f"-{column.sort}"
        return replace(column, link=self.query(sort=other), direction=direction)

    def shares(self, name: str, sessions: Sequence[Session]) -> tuple[Share, ...]:
        """Tell how connections are divided by an attribute."""
        counted = collections.Counter(getattr(each, name) for each in sessions)
        return tuple(Share(value, count, self.query(**{name: value})) for value, count in counted.most_common())

    def command(self) -> Iterator[str]:
        """Write the command that shows the same; it cannot search for a text, and has no pages."""
        yield "connections"
        for name, value in self.filters.items():
            yield from (f"--{name}", value)
        if self.key != "cid":
            yield from ("--sort", self.key)


PAGE = Page(
    name="connections",
    title="Connections",
    group=Group.NOW,
    place=40,
    facts=facts,
    view=view,
    document=document,
    refresh=10,
)
