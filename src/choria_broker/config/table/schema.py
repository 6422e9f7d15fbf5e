"""What is known about one setting, and look-up in a table of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

NAME = "NAME"
"""The part of a key that stands for any name."""

_NAME = f".{NAME}."


class ValueKind(enum.StrEnum):
    """Types of settings, named as the reference manual shows them."""

    STRING = "string"
    PATH = "path"
    TITLE = "title string"
    INTEGER = "integer"
    PORT = "port"
    BOOLEAN = "boolean"
    DURATION = "duration"
    LIST = "comma separated list"
    STRINGS = "string, repeatable"
    PATHS = "list of paths"
    SWITCH = "yes or no"
    CHOICE = "one of"


class Apply(enum.StrEnum):
    """When a changed setting takes effect."""

    LIVE = "live"
    """At reload, without touching connections."""
    ENGINE = "engine"
    """At reload, through the engine's own reload."""
    RESTART = "restart"
    """Only when the broker is started again."""


class Shows(enum.StrEnum):
    """What of a value may be shown in findings, beside values of the kinds that cannot hold a credential."""

    NOTHING = "nothing"
    """It may hold a credential, or is another program's and nobody here knows."""
    WORDS = "words"
    """Names, subjects, words."""
    PLACES = "places"
    """Hosts, addresses and URLs, without logins, paths and queries."""
    FILES = "files"
    """Paths of files."""


class Owner(enum.StrEnum):
    """Which Choria program a setting belongs to."""

    BROKER = "broker"
    SERVER = "server"
    CLIENT = "client"
    OTHER = "other"


class Status(enum.StrEnum):
    """How far a setting is supported."""

    CURRENT = "current"
    NEW = "new"
    """This project's own; go-choria does not know it."""
    ALIAS = "alias"
    """Another name of a setting, accepted with a warning."""
    RETIRED = "retired"
    """Replaced by another setting: ignored with a warning."""
    IGNORED = "ignored"
    """Without effect and without replacement."""


class Setting(msgspec.Struct, frozen=True):
    """One row of the table.

    Attributes:
        key: full key; in keyed families ``NAME`` stands for the name of the item.
        kind: type of the value.
        default: default as one would write it, empty when unset.
        since: first go-choria release that has the key; ``-`` for older ones, ``new`` for this project's own.
        apply: when a change takes effect.
        doc: one sentence for the manual.
        group: heading in the manual.
        environment: variable that replaces the value, empty when there is none.
        secret: the value is a secret.
        shows: what of the value may be shown.
        owner: which program uses the key.
        choices: accepted words of kind ``CHOICE``.
        status: how far it is supported.
        note: for retired keys: what to tell the operator.
        field: settings field that holds the value as it is, as ``Class.field``; empty where resolving makes something
            else of it.
        above_zero: values of 0 and less are refused.
        most: largest value, 0 where there is no bound; of durations in seconds.
    """

    key: str
    kind: ValueKind
    default: str
    since: str
    apply: Apply
    doc: str
    group: str
    environment: str = ""
    secret: bool = False
    shows: Shows = Shows.NOTHING
    owner: Owner = Owner.BROKER
    choices: tuple[str, ...] = ()
    status: Status = Status.CURRENT
    note: str = ""
    field: str = ""
    above_zero: bool = False
    most: int = 0

    @property
    def keyed(self) -> bool:
        """True for a row that stands for a family of keys."""
        return _NAME in self.key

    @property
    def appends(self) -> bool:
        """True when every occurrence adds to the value instead of replacing it."""
        return self.kind in {ValueKind.STRINGS, ValueKind.PATHS}

    @property
    def prefix(self) -> str:
        """What stands before the name in a family, with its final dot."""
        return self.key.partition(_NAME)[0] + "."

    @property
    def suffix(self) -> str:
        """What stands after the name in a family, with its leading dot."""
        return "." + self.key.partition(_NAME)[2]

    def of(self, name: str) -> str:
        """Return the full key of one member of a family."""
        return f"{self.prefix}{name}{self.suffix}"


class Match(msgspec.Struct, frozen=True):
    """A row that describes a key; ``name`` is the item's name in a family, else empty."""

    setting: Setting
    name: str = ""


class Table:
    """All rows, with look-up by key."""

    def __init__(self, rows: Iterable[Setting]) -> None:
        """Index the rows.

        Raises:
            ValueError: two rows have the same key.
        """
        self.rows = tuple(rows)
        self._exact = {row.key: row for row in self.rows if not row.keyed}
        # Longest suffix first, so that NAME in `x.NAME.tls.cert` never swallows `.tls`.
        self._keyed = sorted((row for row in self.rows if row.keyed), key=lambda row: -len(row.suffix))
        self._families: dict[str, list[tuple[str, Setting]]] = {}
        for row in self._keyed:
            self._families.setdefault(row.prefix, []).append((row.suffix, row))
        if len({row.key for row in self.rows}) != len(self.rows):
            raise ValueError("two rows of the table of settings have the same key")

    def find(self, key: str) -> Match | None:
        """Return the row for a key, or None when the key is not known. Keys are case sensitive."""
        row = self._exact.get(key)
        if row:
            return Match(row)
        for prefix, members in self._families.items():
            if not key.startswith(prefix):
                continue
            for suffix, member in members:
                if key.endswith(suffix) and len(key) > len(prefix) + len(suffix):
                    return Match(member, key[len(prefix) : -len(suffix)])
        return None


def setting_row(group: str, key: str, kind: ValueKind, default: str, apply: Apply, doc: str, **more: object) -> Setting:
    """Return a row of the broker's own settings, with the rest of its fields by name."""
    if kind is ValueKind.PATH:
        more.setdefault("shows", Shows.FILES)
    since = str(more.pop("since", "new" if more.get("status") is Status.NEW else "-"))
    return Setting(key, kind, default, since, apply, doc, group, **more)  # type: ignore[arg-type] # fields by name
