"""What was read from the engine's monitoring pages in one poll.

Each type has a ``read`` that takes the page as decoded JSON. A field that is missing, null or of another type than
expected counts as 0, empty or absent, so that an engine of another version never ends the polling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec

from choria_broker.settings.durations import milliseconds
from choria_broker.stats.pages import mapping, number, sequence, text
from choria_broker.stats.standings import Standings


class Server(msgspec.Struct, frozen=True):
    """What ``/varz`` tells of the engine itself, never of its cluster.

    Attributes:
        id: what it calls itself among servers, made anew at each start.
        name: its name in the cluster, which is the broker's identity.
        version: of the nats-server library.
        connections: client connections open now.
        total_connections: client connections accepted since the engine started.
        routes: open connections to members of the cluster.
        remotes: members of the cluster that are reached.
        leafnodes: open leafnode connections, accepted and dialled ones.
        in_msgs, out_msgs: messages, all kinds of connections together.
        in_bytes, out_bytes: bytes of their payloads.
        slow_consumers: how often a receiver was too slow.
        subscriptions: subscriptions of all accounts.
        memory: bytes of resident memory of the engine's process.
    """

    id: str = ""
    version: str = ""
    connections: int = 0
    total_connections: int = 0
    routes: int = 0
    remotes: int = 0
    leafnodes: int = 0
    in_msgs: int = 0
    out_msgs: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    slow_consumers: int = 0
    subscriptions: int = 0
    memory: int = 0
    name: str = ""

    @classmethod
    def read(cls, varz: object) -> Self:
        """Read ``/varz``."""
        page = mapping(varz)
        names = [name for name in cls.__struct_fields__ if name not in ("id", "version", "memory", "name")]
        numbers = {name: number(page, name) for name in names}
        of_itself = {"memory": number(page, "mem")} | numbers
        return cls(text(page, "server_id"), text(page, "version"), name=text(page, "server_name"), **of_itself)


class Route(msgspec.Struct, frozen=True):
    """One connection to a member of the cluster, of ``/routez``.

    Attributes:
        name: server name of the other side, its identity.
        address, port: IP address and port of the other side.
        solicited: this broker made the connection, so the port is the other side's peer port.
        rtt_ms: round trip time in milliseconds, None while it was not measured.
        answered: seconds since the other side last answered a ping, or sent one; None where the engine does not tell.
        version: of the nats-server there, empty where it is not told.
    """

    name: str = ""
    address: str = ""
    port: int = 0
    solicited: bool = False
    rtt_ms: float | None = None
    answered: float | None = None
    version: str = ""

    @classmethod
    def read(cls, route: object) -> Self:
        """Read one entry of ``routes``; a side without a name is called by its id."""
        entry = mapping(route)
        return cls(
            name=text(entry, "remote_name") or text(entry, "remote_id"),
            address=text(entry, "ip"),
            port=number(entry, "port"),
            solicited=entry.get("did_solicit") is True,
            rtt_ms=_rtt(entry),
            answered=_answered(entry),
            version=_version(entry),
        )


class Gateway(msgspec.Struct, frozen=True):
    """The outgoing connection to another cluster, of ``/gatewayz``.

    Attributes:
        server: name of the broker there.
        address, port: where it is.
        rtt_ms, answered, version: as of a ``Route``.
    """

    server: str = ""
    address: str = ""
    port: int = 0
    rtt_ms: float | None = None
    answered: float | None = None
    version: str = ""

    @classmethod
    def read(cls, gateway: object) -> Self:
        """Read one value of ``outbound_gateways``."""
        entry = mapping(gateway)
        connection = mapping(entry.get("connection"))
        return cls(
            server=text(entry, "remote_name"),
            address=text(connection, "ip"),
            port=number(connection, "port"),
            rtt_ms=_rtt(connection),
            answered=_answered(entry),
            version=_version(entry),
        )


class Leafnode(msgspec.Struct, frozen=True):
    """One leafnode connection of ``/leafz``.

    Attributes:
        name: server name of the other side.
        account: local account it is bound to.
        host: IP address of the other side.
        port: port of the other side; where the other side dialled, one that is used for this connection only.
        dialled: this broker made the connection.
        rtt_ms: round trip time in milliseconds, None while it was not measured.
        in_msgs, out_msgs, in_bytes, out_bytes: traffic over the connection.
        subscriptions: interest held for the other side.
        answered, version: as of a ``Route``.
    """

    name: str = ""
    account: str = ""
    host: str = ""
    port: int = 0
    dialled: bool = False
    rtt_ms: float | None = None
    in_msgs: int = 0
    out_msgs: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    subscriptions: int = 0
    answered: float | None = None
    version: str = ""

    @classmethod
    def read(cls, leaf: object) -> Self:
        """Read one entry of ``leafs``."""
        entry = mapping(leaf)
        numbers = {
            name: number(entry, name)
            for name in ("port", "in_msgs", "out_msgs", "in_bytes", "out_bytes", "subscriptions")
        }
        return cls(
            name=text(entry, "name"),
            account=text(entry, "account"),
            host=text(entry, "ip"),
            dialled=entry.get("is_spoke") is True,
            rtt_ms=_rtt(entry),
            answered=_answered(entry),
            version=_version(entry),
            **numbers,
        )


class Streams(msgspec.Struct, frozen=True):
    """What ``/jsz`` with its configuration tells of Choria Streams on this broker; all 0 while they are off.

    Attributes:
        enabled: Choria Streams are on.
        memory_max, store_max: limits in bytes.
        memory_used, store_used: bytes used of them.
        streams, consumers: how many this broker hosts.
        messages: messages held.
        message_bytes: their size in bytes.
    """

    enabled: bool = False
    memory_max: int = 0
    store_max: int = 0
    memory_used: int = 0
    store_used: int = 0
    streams: int = 0
    consumers: int = 0
    messages: int = 0
    message_bytes: int = 0

    @classmethod
    def read(cls, jsz: object) -> Self:
        """Read ``/jsz``."""
        page = mapping(jsz)
        config = mapping(page.get("config"))
        return cls(
            enabled=page.get("disabled") is not True,
            memory_max=number(config, "max_memory"),
            store_max=number(config, "max_storage"),
            memory_used=number(page, "memory"),
            store_used=number(page, "storage"),
            streams=number(page, "streams"),
            consumers=number(page, "consumers"),
            messages=number(page, "messages"),
            message_bytes=number(page, "bytes"),
        )


class Readings(msgspec.Struct, frozen=True):
    """Everything one poll read.

    Attributes:
        server: the engine itself.
        leafnodes: its leafnode connections, None when the page could not be read in any poll.
        streams: Choria Streams, None when the page could not be read in any poll.
        routes: connections to members of the cluster.
        gateways: the clusters to which an outgoing gateway connection stands, and that connection.
        standings: how streams stand, None when the page could not be read in any poll.
        time: when they were read, Unix seconds.
    """

    server: Server
    leafnodes: tuple[Leafnode, ...] | None = None
    streams: Streams | None = None
    routes: tuple[Route, ...] = ()
    gateways: Mapping[str, Gateway] = msgspec.field(default_factory=dict)
    standings: Standings | None = None
    time: float = 0.0


def read_leafnodes(leafz: object) -> tuple[Leafnode, ...]:
    """Read ``/leafz``: every leafnode connection."""
    return tuple(Leafnode.read(leaf) for leaf in sequence(mapping(leafz).get("leafs")))


def read_routes(routez: object) -> tuple[Route, ...]:
    """Read ``/routez``: every connection to a member of the cluster that has said who it is."""
    routes = (Route.read(route) for route in sequence(mapping(routez).get("routes")))
    return tuple(route for route in routes if route.name)


def read_gateways(gatewayz: object) -> dict[str, Gateway]:
    """Read ``/gatewayz``: the clusters to which an outgoing connection stands."""
    gateways = mapping(mapping(gatewayz).get("outbound_gateways"))
    return {name: Gateway.read(gateway) for name, gateway in gateways.items()}


def _rtt(connection: Mapping[str, object]) -> float | None:
    """Milliseconds of round trip time; the engine writes 0 while it was not measured."""
    return milliseconds(text(connection, "rtt")) or None


def _answered(link: Mapping[str, object]) -> float | None:
    told = milliseconds(text(link, "answered"))
    return None if told is None else told / 1000


def _version(link: Mapping[str, object]) -> str:
    return text(link, "remote_version")
