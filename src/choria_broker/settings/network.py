"""The network broker."""

from __future__ import annotations

import enum
import ipaddress
from pathlib import Path

import msgspec

from choria_broker.settings.links import Cluster, Gateway, Leafnodes, SubjectMapping, Websocket
from choria_broker.settings.operator import Operator
from choria_broker.settings.revocation import NOTHING_REVOKED, Revocation
from choria_broker.settings.secret import Secret
from choria_broker.settings.streams import Streams

NETWORK = "plugin.choria.network."
"""Prefix of the keys of the network broker."""

_BESIDE = 1024
"""Open files beside those of clients: strangers, links to other brokers, the store. The engine keeps as many back."""
_STRANGERS = 1000
"""How many strangers on each listener that number is for."""

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
"""An address or network of the client allow-list; single addresses are /32 or /128."""


class Provisioning(msgspec.Struct, frozen=True, kw_only=True):
    """Provisioning of new nodes.

    Attributes:
        client_password: password of user ``provisioner``; its presence creates account ``provisioning``.
        signer: file that verifies provisioning tokens, None when unset.
        provisioner_without_token: on issuer networks the password alone lets the provisioner in.
    """

    client_password: Secret | None = None
    signer: Path | None = None
    provisioner_without_token: bool = False

    @property
    def enabled(self) -> bool:
        """Nodes are provisioned: there is an account for it."""
        return bool(self.client_password)


class SystemUser(msgspec.Struct, frozen=True, kw_only=True):
    """Login of the ``system`` account."""

    user: str
    password: Secret


class ReloadSessions(enum.StrEnum):
    """What becomes of sessions that the policy of a reload would decide otherwise."""

    KEEP = "keep"
    """They keep what they have until they end."""
    END = "end"
    """They are ended, spread over ten seconds."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The network broker.

    Attributes:
        listen_address: IP address of every NATS listener; ``::`` is dual stack.
        client_port: client listener; 0 means any free port.
        public_url: ``host[:port]`` told to clients, without scheme; empty when unset.
        write_deadline: seconds until a client that does not read is dropped; links have more time.
        auth_timeout: seconds until a client must have logged in.
        max_connections: most client connections at once that have logged in.
        max_unauthenticated: most connections of each listener that have not.
        max_handshakes: most logins of clients that are worked on at once; 0 or less for no bound.
        max_subscriptions: most subscriptions of one connection.
        client_hosts: networks whose members may act as fleet clients; empty means all.
        deny_server_connections: fleet servers are denied everything.
        client_signers, server_signers: hex keys or file paths, as configured.
        client_anon_tls: certificates are not requested, and besides provisioning only clients with tokens get in.
        system_user: None when no login for account ``system`` exists.
        accounts: further local accounts, those of issuers left out unless they are declared too.
        unverified_account: account for connections without certificate and token; empty means refused.
        operator: in operator mode the operator, which decides on connections in place of everything above; else None.
        revocation: who is revoked.
        reload_sessions: what becomes of sessions that the policy of a reload would decide otherwise.
        publish_events: what happens to the broker is published in account ``choria``.
        soft_shutdown_timeout: seconds for an orderly stop.
        drain_on_stop: seconds over which connections are moved elsewhere before that.
    """

    listen_address: str = "::"
    client_port: int = 4222
    public_url: str = ""
    write_deadline: float = 5.0
    auth_timeout: float = 2.0
    max_connections: int = 50000
    max_unauthenticated: int = 1000
    max_handshakes: int = 1000
    max_subscriptions: int = 20000
    client_hosts: tuple[IPNetwork, ...] = ()
    deny_server_connections: bool = False
    client_signers: tuple[str, ...] = ()
    server_signers: tuple[str, ...] = ()
    client_anon_tls: bool = False
    provisioning: Provisioning = Provisioning()
    system_user: SystemUser | None = None
    cluster: Cluster = Cluster()
    gateway: Gateway = Gateway()
    leafnodes: Leafnodes = Leafnodes()
    websocket: Websocket = Websocket()
    mappings: tuple[SubjectMapping, ...] = ()
    streams: Streams = Streams()
    accounts: tuple[str, ...] = ()
    unverified_account: str = ""
    operator: Operator | None = None
    revocation: Revocation = NOTHING_REVOKED
    reload_sessions: ReloadSessions = ReloadSessions.KEEP
    publish_events: bool = False
    pprof_port: int = 0
    soft_shutdown_timeout: float = 60.0
    drain_on_stop: float = 0.0

    @property
    def dialled_ports(self) -> frozenset[int]:
        """Ports of other brokers to which this one connects."""
        remotes = (*self.gateway.urls, *(url for remote in self.leafnodes.remotes for url in remote.urls))
        return frozenset(place.port for place in (*self.cluster.routes, *remotes))

    @property
    def needed_files(self) -> int:
        """How many open files the broker needs for the connections it allows."""
        return self.max_connections + _BESIDE + max(self.max_unauthenticated - _STRANGERS, 0)
