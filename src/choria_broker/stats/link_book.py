"""Since when each link to another broker stands or does not, and why it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from choria_broker.settings.hostnames import comparable
from choria_broker.stats.link_troubles import LinkTrouble
from choria_broker.stats.links import Link, LinkKind
from choria_broker.values import replace

BEFORE = 30.0
"""Seconds before an end was noticed in which its reason may have been told."""

STEADY = 60.0
"""Seconds without a reason until another takes its place: two that alternate are one story."""

_KINDS = {LinkKind.MEMBER: "route", LinkKind.GATEWAY: "gateway", LinkKind.LEAFNODE: "leafnode"}
_STAGES = (
    frozenset({"x509", "revoked", "tls", "login"}),
    frozenset({"refused", "timeout", "unknown-host", "unreachable"}),
)
"""Causes by how far a link has come; others have ended one that stood."""


class Entry(msgspec.Struct, frozen=True):
    """What is remembered of a link.

    Attributes:
        kind, name: which link, by the name that was known last.
        places: where the configuration has the other side.
        connected: it stands.
        since: since when that is so, Unix seconds.
        after: what was told before that moment has nothing to do with it, Unix seconds.
        address: where the other side was last, without the port; empty before it was connected.
        trouble: why it does not stand; None while nothing told.
    """

    kind: str
    name: str
    places: tuple[str, ...]
    connected: bool
    since: float
    after: float = 0.0
    address: str = ""
    trouble: LinkTrouble | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the engine may call the other side."""
        return (self.name, *self.places)


class LinkBook:
    """What happened to each link.

    Attributes:
        entries: what is remembered, one of each link.
    """

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.entries: tuple[Entry, ...] = ()

    def seen(
        self,
        links: Iterable[Link],
        troubles: Sequence[LinkTrouble],
        now: float,
        resolved: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Take in how links are.

        Args:
            links: those that there are, or should be.
            troubles: what the engine told lately, the latest first.
            now: Unix seconds.
            resolved: addresses of places, as far as they were looked up.
        """
        known = self._by_name()
        entries = [_followed(link, _entry(link, known), now) for link in links if link.connected is not None]
        down = [entry for entry in entries if not entry.connected]
        explained = {id(entry): _explained(entry, down, troubles, resolved or {}) for entry in down}
        self.entries = tuple(explained.get(id(entry), entry) for entry in entries)

    def with_history(self, links: Iterable[Link]) -> tuple[Link, ...]:
        """Add to links what is remembered of them."""
        known = self._by_name()
        return tuple(_told(link, _entry(link, known)) for link in links)

    def _by_name(self) -> dict[tuple[str, str], Entry]:
        places = {
            (entry.kind, place): entry
            for entry in reversed(self.entries)
            if entry.kind == LinkKind.MEMBER
            for place in entry.places
        }
        return places | {(entry.kind, entry.name): entry for entry in reversed(self.entries)}


def _entry(link: Link, known: Mapping[tuple[str, str], Entry]) -> Entry | None:
    """Find what is remembered: of a member by its place too, for its name is not always known."""
    names = (link.name, *(link.places if link.kind is LinkKind.MEMBER else ()))
    return next((known[link.kind.value, name] for name in names if (link.kind.value, name) in known), None)


def _followed(link: Link, before: Entry | None, now: float) -> Entry:
    connected, name = bool(link.connected), _name(link, before)
    address = _host(link.address) or (before.address if before else "")
    if before and before.connected == connected:
        return replace(before, name=name, places=link.places, address=address)
    after = max(now - BEFORE, before.since if before else 0.0)
    return Entry(link.kind.value, name, link.places, connected, now, after, address)


def _name(link: Link, entry: Entry | None) -> str:
    """Return the name of a link; a member that is away may be known by its place only, and had a name before."""
    return entry.name if entry and link.name in link.places else link.name


def _told(link: Link, entry: Entry | None) -> Link:
    if entry is None or entry.connected != link.connected:
        return replace(link, name=_name(link, entry))
    trouble = entry.trouble
    return replace(
        link,
        name=_name(link, entry),
        since=entry.since,
        cause=trouble.cause if trouble else "",
        why=trouble.words if trouble else "",
    )


def _explained(
    entry: Entry, down: Sequence[Entry], troubles: Sequence[LinkTrouble], resolved: Mapping[str, Sequence[str]]
) -> Entry:
    """Add why a link does not stand.

    Troubles count that name it, its place or an address of it; without any those at its port when no other link is
    down that has that port.
    """
    kind = _KINDS[LinkKind(entry.kind)]
    lately = [each for each in troubles if each.kind == kind and each.last >= entry.after]
    names = {comparable(name) for name in entry.names}
    hosts = {entry.address, *(address for name in entry.names for address in resolved.get(name, ()))} - {""}
    ports = _ports(entry)
    found = [
        each
        for each in lately
        if comparable(each.place) in names or (_host(each.place) in hosts and _port(each.place) in {"", *ports})
    ]
    if not found and not any(ports & _ports(each) for each in down if each is not entry and each.kind == entry.kind):
        found = [each for each in lately if _port(each.place) in ports]
    return replace(entry, trouble=_steady(entry.trouble, found)) if found else entry


def _ports(entry: Entry) -> set[str]:
    return {_port(name) for name in entry.names} - {""}


def _steady(kept: LinkTrouble | None, found: Sequence[LinkTrouble]) -> LinkTrouble:
    """Choose of several troubles, the latest first, the one to tell.

    Who is refused by the other side has reached it, so that counts before what keeps it from being reached, and both
    before what once ended the link. Of those that count alike the one stays that was told before.
    """
    lately = [each for each in found if found[0].last - each.last <= STEADY]
    furthest = max(map(_stage, lately))
    lately = [each for each in lately if _stage(each) == furthest]
    return next((each for each in lately if kept and each.cause == kept.cause), lately[0])


def _stage(trouble: LinkTrouble) -> int:
    return next((len(_STAGES) - at for at, causes in enumerate(_STAGES) if trouble.cause in causes), 0)


def _host(place: str) -> str:
    host, colon, port = place.rpartition(":")
    return host.strip("[]") if colon and port.isdigit() and (":" not in host or host.startswith("[")) else place


def _port(place: str) -> str:
    host, colon, port = place.rpartition(":")
    return port if colon and port.isdigit() and (":" not in host or host.startswith("[")) else ""
