"""Which of the configured links to other brokers stand."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence

from choria_broker.settings.hostnames import comparable
from choria_broker.settings.links import LeafnodeRemote
from choria_broker.settings.network import Network
from choria_broker.stats.readings import Leafnode, Readings


class LinkKind(enum.StrEnum):
    """Kinds of remotes."""

    GATEWAY = "gateway"
    LEAFNODE = "leafnode"


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """One remote of the configuration.

    Attributes:
        kind, name: which one.
        connected: a connection to it stands; None while that is not known.
        rtt_ms: round trip time in milliseconds, None while it is not known.
    """

    kind: LinkKind
    name: str
    connected: bool | None = None
    rtt_ms: float | None = None


def links(network: Network, readings: Readings | None) -> tuple[Link, ...]:
    """Tell of every remote of the configuration whether it is connected.

    Args:
        network: what the broker was told.
        readings: what the engine tells, None while nobody asks it.
    """
    if readings is None:
        return (
            *(Link(LinkKind.GATEWAY, remote.name) for remote in network.gateway.others),
            *(Link(LinkKind.LEAFNODE, remote.name) for remote in network.leafnodes.remotes),
        )
    gateways = [
        Link(LinkKind.GATEWAY, remote.name, remote.name in readings.gateways, readings.gateways.get(remote.name))
        for remote in network.gateway.others
    ]
    joined = _joined(network.leafnodes.remotes, readings.leafnodes or ())
    leafnodes = [
        Link(LinkKind.LEAFNODE, name, connection is not None, connection.rtt_ms if connection else None)
        for name, connection in ((remote.name, joined.get(remote.name)) for remote in network.leafnodes.remotes)
    ]
    return (*gateways, *leafnodes)


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
