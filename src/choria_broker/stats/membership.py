"""Whether the cluster is whole: how many other members there should be, and which of them are connected.

The entry that is this broker is known at the start where its host is the identity or an address of this host. Where a
name cannot be resolved yet, or leads to an address that others translate, it is learnt from the cluster. The list has
every member, so until the cluster shows otherwise one of the entries is this broker, whatever its name and port.

Members count, not entries: of several at which one member answers only one counts, and none at which this broker does.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import msgspec

from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.hostnames import comparable
from choria_broker.settings.links import Cluster
from choria_broker.stats.readings import Route
from choria_broker.values import replace

_LEFT_OUT = "unusable entry"
_LEFT_OUT_END = f" ({_LEFT_OUT})"


class Learnt(msgspec.Struct, frozen=True):
    """What the cluster has taught about the entries of the peers.

    Attributes:
        itself: entries at which this broker answers.
        others: entries at which another member answers, or did.
        names: which member that is, as far as it is known; in comparable form.
        nowhere: entries whose host nobody knew when it was last asked for.
        complete: once there were as many members as entries, so none of these is this broker.
    """

    itself: frozenset[Endpoint] = frozenset()
    others: frozenset[Endpoint] = frozenset()
    names: Mapping[Endpoint, str] = msgspec.field(default_factory=dict)
    nowhere: frozenset[Endpoint] = frozenset()
    complete: bool = False

    def seen(self, cluster: Cluster, routes: Sequence[Route]) -> Self:
        """Learn from the routes that stand."""
        others = self.others | {entry for entry in cluster.routes if _leads_to(entry, routes)}
        names = _with(self.names, _names(cluster, routes))
        entries = len(_once(cluster.routes, names)) + len(cluster.left_out)
        complete = self.complete or (not self.itself and len(members(routes)) >= entries)
        return replace(self, others=others, names=names, complete=complete)

    def met(self, entry: Endpoint, *, itself: bool, name: str = "") -> Self:
        """Learn who answered at an entry, and by what name."""
        nowhere = self.nowhere - {entry}
        if itself:
            names = {place: known for place, known in self.names.items() if place != entry}
            own, others = self.itself | {entry}, self.others - {entry}
            return replace(self, itself=own, others=others, names=names, nowhere=nowhere, complete=False)
        names = _with(self.names, {entry: comparable(name)} if name else {})
        return replace(self, others=self.others | {entry}, names=names, nowhere=nowhere)

    def missed(self, entry: Endpoint, *, nowhere: bool | None) -> Self:
        """Learn that nobody answered at an entry, and whether its host is known: None changes nothing."""
        if nowhere is None:
            return self
        return replace(self, nowhere=self.nowhere | {entry} if nowhere else self.nowhere - {entry})


class Member(msgspec.Struct, frozen=True):
    """Another member.

    Attributes:
        name: its name, as far as it is known.
        place: where the peers have it, empty for one that is not in the list.
        connected: whether it is; None where it is one of several of which some are.
    """

    name: str
    place: str
    connected: bool | None


class Membership(msgspec.Struct, frozen=True):
    """The other members.

    Attributes:
        expected: where the peers have them, as many as there should be; those left out of the list, and those connected
            that are not in it, by what is known of them.
        connected: names of those that are connected, sorted; never more than are expected.
        members: each of them, as far as it is known who is who.
    """

    expected: tuple[str, ...] = ()
    connected: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()


def members(routes: Sequence[Route]) -> tuple[str, ...]:
    """Return the names of the members at the other ends of routes, sorted, each once."""
    return tuple(sorted({route.name for route in routes}))


def membership(cluster: Cluster, routes: Sequence[Route], learnt: Learnt) -> Membership:
    """Tell who the other members are and who of them is connected.

    Args:
        cluster: what the broker was told.
        routes: those that stand.
        learnt: what the cluster has taught so far.
    """
    itself = learnt.itself | _by_its_port(cluster, learnt)
    entries = _once((entry for entry in cluster.routes if entry not in itself), learnt.names)
    left_out = list(cluster.left_out)
    if not (cluster.knows_itself or itself or learnt.complete):
        likeliest = _likeliest(cluster, entries, learnt)
        if likeliest:
            entries.remove(likeliest)
        else:
            del left_out[:1]
    listed = [(entry.authority, learnt.names.get(entry, "")) for entry in entries]
    listed += [(f"{host}{_LEFT_OUT_END}" if host else _LEFT_OUT, host) for host in left_out]
    expected = [place for place, _ in listed]
    connected = members(routes)
    more = len(connected) - len(expected)
    if more > 0:
        hosts = {entry.host for entry in entries}
        expected += sorted(connected, key=lambda name: comparable(name) in hosts)[:more]
    return Membership(tuple(expected), connected, _each(listed, connected, len(expected) - len(connected)))


def _each(listed: Sequence[tuple[str, str]], connected: Sequence[str], missing: int) -> tuple[Member, ...]:
    """Tell who is who.

    Args:
        listed: places, and who is known to be there.
        connected: names of those that are connected.
        missing: how many are not.
    """
    there = {comparable(name): name for name in connected}
    known, nameless = [], []
    for place, name in listed:
        if name in there:
            known.append(Member(there.pop(name), place, connected=True))
        elif name:
            known.append(Member("" if place.endswith(_LEFT_OUT_END) else name, place, connected=False))
        else:
            nameless.append(place)
    unplaced = list(there.values())
    away = missing - sum(not each.connected for each in known)
    if away < 0:  # Somebody answers to another name by now.
        known = [each if each.connected else replace(each, connected=None) for each in known]
    if len(nameless) == len(unplaced) == 1 and away <= 0:
        known.append(Member(unplaced.pop(), nameless.pop(), connected=True))
    if away > 0:
        state = False if away >= len(nameless) else None
        known += [Member("", place, connected=state) for place in nameless]
    return (*known, *(Member(name, "", connected=True) for name in unplaced))


def _likeliest(cluster: Cluster, entries: Sequence[Endpoint], learnt: Learnt) -> Endpoint | None:
    """Return the entry to take for this broker: no other was ever met there; rather one with this broker's port."""
    possible = [entry for entry in entries if entry not in learnt.others and entry not in cluster.neighbours]
    return min(possible, key=lambda entry: entry.port != cluster.port, default=None)


def _by_its_port(cluster: Cluster, learnt: Learnt) -> frozenset[Endpoint]:
    """Return the entries that nobody can resolve and that have this broker's port, which no other member has.

    Where others have that port as well, such an entry is rather a member that is missing.
    """
    lost = {entry for entry in learnt.nowhere if entry.port == cluster.port and entry not in learnt.others}
    ports = {entry.port for entry in cluster.routes if entry not in lost and entry not in learnt.itself}
    return frozenset(lost) if ports and cluster.port not in ports else frozenset()


def unknown(cluster: Cluster, routes: Sequence[Route], learnt: Learnt) -> tuple[Endpoint, ...]:
    """Return the entries at which it is worth asking who answers: none when as many members are there as are listed."""
    entries = [entry for entry in cluster.routes if entry not in learnt.itself]
    if len(members(routes)) >= len(_once(entries, learnt.names)) + len(cluster.left_out):
        return ()
    return tuple(entry for entry in entries if entry not in learnt.names)


def _once(entries: Iterable[Endpoint], names: Mapping[Endpoint, str]) -> list[Endpoint]:
    """Return the first of the entries of each member, in order."""
    firsts: dict[Endpoint | str, Endpoint] = {}
    for entry in entries:
        firsts.setdefault(names.get(entry, entry), entry)
    return list(firsts.values())


def _with(names: Mapping[Endpoint, str], found: Mapping[Endpoint, str]) -> dict[Endpoint, str]:
    """Take over who is where. A member that moved has its earlier places in doubt."""
    moved = {name for entry, name in found.items() if names.get(entry, name) != name}
    return {entry: name for entry, name in names.items() if name not in moved} | dict(found)


def _names(cluster: Cluster, routes: Sequence[Route]) -> dict[Endpoint, str]:
    """Tell which member is at an entry: the one connected to there, or the only one that has its host for a name.

    Several entries with one host are several members, or one: that is to be asked.
    """
    hosts = collections.Counter(entry.host for entry in cluster.routes)
    by_name = {comparable(route.name) for route in routes}
    made = {(comparable(route.address), route.port): comparable(route.name) for route in routes if route.solicited}
    found = {}
    for entry in cluster.routes:
        name = made.get((entry.host, entry.port), "")
        if not name and entry.host in by_name and hosts[entry.host] == 1:
            name = entry.host
        if name:
            found[entry] = name
    return found


def _leads_to(entry: Endpoint, routes: Sequence[Route]) -> bool:
    return any(
        comparable(route.name) == entry.host
        or (route.solicited and (comparable(route.address), route.port) == (entry.host, entry.port))
        for route in routes
    )
