"""The links to other brokers: members of the cluster, gateways, leafnodes; which of them stand, and how they are."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from choria_broker.settings.hostnames import authority, comparable
from choria_broker.settings.links import GatewayRemote, LeafnodeRemote
from choria_broker.settings.network import Network
from choria_broker.stats.membership import Member, Membership
from choria_broker.stats.readings import Leafnode, Readings
from choria_broker.values import replace


class LinkKind(enum.StrEnum):
    """Kinds of links."""

    MEMBER = "member"
    GATEWAY = "gateway"
    LEAFNODE = "leafnode"


class Link(msgspec.Struct, frozen=True):
    """A link to another broker, or what several connections to one make together.

    Attributes:
        kind: which kind.
        name: of a member its name, or where the peers have it as long as that is not known; of a gateway or remote its
            name in the configuration, of a leafnode that connected to this broker its own.
        connected: it stands; None while that is not known.
        rtt_ms: round trip time in milliseconds, None while it is not known.
        server: name of the broker at the other end, empty while that is not known.
        address: where the other end is, ``host:port``; of one that connected by itself the address alone. Empty while
            it is not connected.
        places: where the configuration has the other side.
        answered: seconds since the other side last answered, None while that is not known.
        version: of the nats-server there, empty while it is not known.
        listed: the configuration asks for it.
        since: since when it stands, or does not, as far as this broker has seen; Unix seconds, 0 while not known.
        cause: in a word why it does not stand, as ``LinkTrouble`` has it; empty while nothing told.
        why: the engine's words.
    """

    kind: LinkKind
    name: str
    connected: bool | None = None
    rtt_ms: float | None = None
    server: str = ""
    address: str = ""
    places: tuple[str, ...] = ()
    answered: float | None = None
    version: str = ""
    listed: bool = True
    since: float = 0.0
    cause: str = ""
    why: str = ""


def links(network: Network, readings: Readings | None, membership: Membership) -> tuple[Link, ...]:
    """Tell of every member of the cluster, of every remote of the configuration, and of leafnodes that connected.

    Args:
        network: what the broker was told.
        readings: what the engine tells, None while nobody has asked it.
        membership: the other members.
    """
    found = [_member(each, readings) for each in membership.members]
    found += [_gateway(remote, readings) for remote in network.gateway.others]
    leafnodes = readings.leafnodes or () if readings else ()
    joined = _joined(network.leafnodes.remotes, leafnodes)
    known = readings is not None
    found += [_leafnode(remote, joined.get(remote.name), known) for remote in network.leafnodes.remotes]
    found += [_accepted(each) for each in leafnodes if not each.dialled]
    return tuple(found)


def _member(member: Member, readings: Readings | None) -> Link:
    mine = [route for route in readings.routes if route.name == member.name] if readings and member.connected else []
    # A connection that was accepted counts as solicited when this broker will make it once it ends; its port is any.
    made = next((each for each in mine if each.solicited and member.place.endswith(f":{each.port}")), None)
    return Link(
        LinkKind.MEMBER,
        member.name or member.place,
        member.connected if readings else None,
        rtt_ms=_worst(each.rtt_ms for each in mine),
        server=member.name,
        address=authority(made.address, made.port) if made else next((each.address for each in mine), ""),
        places=(member.place,) if member.place else (),
        answered=_worst(each.answered for each in mine),
        version=next((each.version for each in mine if each.version), ""),
        listed=bool(member.place),
    )


def _gateway(remote: GatewayRemote, readings: Readings | None) -> Link:
    link = Link(LinkKind.GATEWAY, remote.name, places=tuple(url.authority for url in remote.urls))
    found = readings.gateways.get(remote.name) if readings else None
    if found is None:
        return replace(link, connected=False if readings else None)
    return replace(
        link,
        connected=True,
        rtt_ms=found.rtt_ms,
        server=found.server,
        address=authority(found.address, found.port) if found.address else "",
        answered=found.answered,
        version=found.version,
    )


def _leafnode(remote: LeafnodeRemote, connection: Leafnode | None, known: bool) -> Link:
    link = Link(LinkKind.LEAFNODE, remote.name, places=tuple(url.authority for url in remote.urls))
    if connection is None:
        return replace(link, connected=False if known else None)
    return replace(
        link,
        connected=True,
        rtt_ms=connection.rtt_ms,
        server=connection.name,
        address=authority(connection.host, connection.port),
        answered=connection.answered,
        version=connection.version,
    )


def _accepted(connection: Leafnode) -> Link:
    return Link(
        LinkKind.LEAFNODE,
        connection.name or connection.host,
        connected=True,
        rtt_ms=connection.rtt_ms,
        server=connection.name,
        address=connection.host,
        answered=connection.answered,
        version=connection.version,
        listed=False,
    )


def _worst(numbers: Iterable[float | None]) -> float | None:
    """Of several connections to one broker the slowest tells: all of them are needed."""
    return max((each for each in numbers if each is not None), default=None)


def _joined(remotes: Sequence[LeafnodeRemote], connections: Sequence[Leafnode]) -> dict[str, Leafnode]:
    """Find the dialled connections that belong to remotes, by the names of these.

    The engine tells account, address, port and other side of a connection, never the remote. An address that the
    settings name decides, then the other side's own name, then a port, and at last the account alone: a hub may send
    its leafnodes on to its other members.
    """
    free = [connection for connection in connections if connection.dialled]
    open_remotes, joined = list(remotes), dict[str, Leafnode]()
    for fits in (_same_place, _same_name, _same_port, _same_account):
        for remote in tuple(open_remotes):
            found = next((connection for connection in free if fits(remote, connection)), None)
            if found:
                free.remove(found)
                open_remotes.remove(remote)
                joined[remote.name] = found
    return joined


def _same_name(remote: LeafnodeRemote, connection: Leafnode) -> bool:
    return _same_account(remote, connection) and comparable(connection.name) in {url.host for url in remote.urls}


def _same_place(remote: LeafnodeRemote, connection: Leafnode) -> bool:
    places = {(url.host, url.port) for url in remote.urls}
    return _same_account(remote, connection) and (comparable(connection.host), connection.port) in places


def _same_port(remote: LeafnodeRemote, connection: Leafnode) -> bool:
    return _same_account(remote, connection) and connection.port in {url.port for url in remote.urls}


def _same_account(remote: LeafnodeRemote, connection: Leafnode) -> bool:
    return connection.account == remote.account
