"""Links to other brokers: cluster, gateways, leafnodes; websockets; and what subjects become on the way."""

from __future__ import annotations

from pathlib import Path

import msgspec

from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.hostnames import is_address
from choria_broker.settings.secret import Secret
from choria_broker.settings.tls import RemoteTls

DEFAULT_PEER_PORT = 5222
"""Port of the cluster listener when there are peers and no port is set."""


class GatewayRemote(msgspec.Struct, frozen=True, kw_only=True):
    """Another cluster this one reaches through gateways."""

    name: str
    urls: tuple[Endpoint, ...]
    tls: RemoteTls


class LeafnodeRemote(msgspec.Struct, frozen=True, kw_only=True):
    """A broker this one joins as a leafnode.

    Attributes:
        name: its name in ``leafnode_remotes``.
        urls: all plain or all websocket.
        account: local account bound to it.
        credentials: NATS credentials file, None when there is none.
        tls: TLS for the connection.
    """

    name: str
    urls: tuple[Endpoint, ...]
    account: str
    credentials: Path | None
    tls: RemoteTls


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Cluster of peers.

    Attributes:
        peers: every member found (SRV or setting) whose address can be used, this broker included when it is listed.
        routes: the members to connect to, this broker left out.
        port: cluster listener; meaningful only with peers.
        user, password: login between members, empty and None when unset.
        tls: TLS on routes; False is for mixed clusters with go-choria.
        source: ``setting``, the SRV record's name, or empty without peers.
        left_out: hosts of further members that are listed with an address that cannot be used, empty where not even a
            host can be read.
        itself_left_out: this broker, too, is listed with such an address only.
        neighbours: routes to other ports of this very host, which are other brokers.
    """

    peers: tuple[Endpoint, ...] = ()
    routes: tuple[Endpoint, ...] = ()
    port: int = 0
    user: str = ""
    password: Secret | None = None
    tls: bool = True
    source: str = ""
    left_out: tuple[str, ...] = ()
    itself_left_out: bool = False
    neighbours: tuple[Endpoint, ...] = ()

    @property
    def knows_itself(self) -> bool:
        """It is known which entry is this broker."""
        return len(self.routes) < len(self.peers) or self.itself_left_out

    @property
    def size(self) -> int:
        """How many members there are, this broker included: a mistake in an address takes no copy of a stream away."""
        return len(self.peers) + len(self.left_out) + self.itself_left_out

    @property
    def joined(self) -> bool:
        """This broker is a member, even if there is no address that it can connect to: others can connect to it."""
        return self.size > 0

    @property
    def unreachable(self) -> bool:
        """Some entry has an address that cannot be used."""
        return bool(self.left_out) or self.itself_left_out

    @property
    def known_by_name(self) -> bool:
        """Certificates of the other members can be held against names.

        A member whose name cannot even be read is not let in by it; that is no reason to let everybody in.
        """
        return bool(self.routes or self.left_out) and not any(map(is_address, self.known_hosts))

    @property
    def expected(self) -> int:
        """How many members a cluster that begins needs for a leader, at least: as many as with good addresses."""
        return max(len(self.routes) + len(self.left_out), 2)

    @property
    def known_hosts(self) -> tuple[str, ...]:
        """Hosts that other members may have in their certificates."""
        return (*(route.host for route in self.routes), *filter(None, self.left_out))


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """Gateways between clusters; ``name`` is the cluster's name with or without them."""

    name: str = "CHORIA"
    port: int = 0
    remotes: tuple[GatewayRemote, ...] = ()
    tls: bool = True

    @property
    def enabled(self) -> bool:
        """There is a listener, and there are remotes: the engine takes neither without the other."""
        return bool(self.port and self.remotes)

    @property
    def others(self) -> tuple[GatewayRemote, ...]:
        """The other clusters: brokers of one cluster share a list, in which their own may stand."""
        return tuple(remote for remote in self.remotes if remote.name != self.name)

    @property
    def own_urls(self) -> tuple[Endpoint, ...]:
        """Where the list has brokers of this cluster."""
        return tuple(url for remote in self.remotes if remote.name == self.name for url in remote.urls)

    @property
    def urls(self) -> tuple[Endpoint, ...]:
        """Where the brokers of the other clusters are."""
        return tuple(url for remote in self.others for url in remote.urls)

    @property
    def known_by_name(self) -> bool:
        """Certificates of the other clusters' brokers can be held against names.

        The engine compares the DNS names of a certificate only, never its addresses.
        """
        return bool(self.urls) and not any(is_address(url.host) for url in self.urls)


class Leafnodes(msgspec.Struct, frozen=True, kw_only=True):
    """Leafnode listener (port 0: none) and remotes."""

    port: int = 0
    remotes: tuple[LeafnodeRemote, ...] = ()


class Websocket(msgspec.Struct, frozen=True, kw_only=True):
    """Websocket listener.

    Attributes:
        port: of the listener, 0 for none.
        advertise: ``host:port`` told to its clients, empty for none.
        origins: origins of pages that are let in besides its own; ``any`` alone for all.
    """

    port: int = 0
    advertise: str = ""
    origins: tuple[str, ...] = ()


class SubjectMapping(msgspec.Struct, frozen=True, kw_only=True):
    """One subject mapping in account ``choria``."""

    name: str
    source: str
    destination: str
