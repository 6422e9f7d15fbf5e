"""What is known about one setting, and look-up in a table of them."""

from __future__ import annotations

import dataclasses
import difflib
import enum
from collections.abc import Iterable

from choria_broker.config.values import Kind

_NAME = ".NAME."
_LONGEST_KEY_FOR_HINTS = 200


class Apply(enum.StrEnum):
    """When a changed setting takes effect."""

    LIVE = "live"
    """At reload, without touching connections."""
    ENGINE = "engine reload"
    """At reload, through the engine's own reload."""
    RESTART = "restart"
    """Only when the broker is started again."""


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


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
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
        secret: the value is never shown.
        owner: which program uses the key.
        choices: accepted words of kind ``CHOICE``.
        status: how far it is supported.
        note: for retired keys: what to tell the operator.
    """

    key: str
    kind: Kind
    default: str
    since: str
    apply: Apply
    doc: str
    group: str
    environment: str = ""
    secret: bool = False
    owner: Owner = Owner.BROKER
    choices: tuple[str, ...] = ()
    status: Status = Status.CURRENT
    note: str = ""

    @property
    def keyed(self) -> bool:
        """True for a row that stands for a family of keys."""
        return _NAME in self.key

    @property
    def appends(self) -> bool:
        """True when every occurrence adds to the value instead of replacing it."""
        return self.kind in {Kind.STRINGS, Kind.PATHS}

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


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
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
        if len({row.key for row in self.rows}) != len(self.rows):
            raise ValueError("two rows of the table of settings have the same key")

    def find(self, key: str) -> Match | None:
        """Return the row for a key, or None when the key is not known. Keys are case sensitive."""
        row = self._exact.get(key)
        if row:
            return Match(row)
        for row in self._keyed:
            inside = len(key) > len(row.prefix) + len(row.suffix)
            if inside and key.startswith(row.prefix) and key.endswith(row.suffix):
                return Match(row, key[len(row.prefix) : -len(row.suffix)])
        return None

    def nearest(self, key: str) -> str:
        """Return the known key that looks most like the given one, empty when none comes close."""
        if len(key) > _LONGEST_KEY_FOR_HINTS:
            return ""
        candidates = [*self._exact, *self._members(key)]
        folded = {candidate.lower(): candidate for candidate in candidates}
        found = difflib.get_close_matches(key.lower(), folded, n=1, cutoff=0.8)
        return folded[found[0]] if found else ""

    def _members(self, key: str) -> set[str]:
        members = set()
        for row in self._keyed:
            rest = key.removeprefix(row.prefix)
            if rest == key or "." not in rest:
                continue
            labels = row.suffix.count(".")
            name = ".".join(rest.split(".")[:-labels])
            if name:
                members.add(row.of(name))
        return members
