"""The broker's settings: frozen, typed, complete. Nothing else reads raw keys.

Durations are seconds as ``float``. Paths are ``pathlib.Path`` after ``~`` expansion. Lists are tuples.
An empty text, an empty tuple or ``None`` means unset, as each attribute says.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
from collections.abc import Mapping
from pathlib import Path

from choria_broker.config.findings import DEFAULT, Origin
from choria_broker.config.secret import Secret

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
"""An address or network of the client allow-list; single addresses are /32 or /128."""


class LogLevel(enum.StrEnum):
    """Levels the operator may choose."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"


class Provider(enum.StrEnum):
    """Security providers, which say where certificate, key and CA are."""

    PUPPET = "puppet"
    FILE = "file"
    CERTMANAGER = "certmanager"
    CHORIA = "choria"
    PKCS11 = "pkcs11"


def authority(host: str, port: int) -> str:
    """Write ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """A place to connect to: ``scheme://host:port`` with optional login.

    Attributes:
        scheme: ``nats``, ``nats-leaf``, ``ws`` or ``wss``.
        host: name or address, IPv6 without brackets.
        port: 1 to 65535.
        user: login name, empty when there is none.
        password: login password, None when there is none.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: Secret | None = None

    @property
    def authority(self) -> str:
        """``host:port`` with IPv6 in brackets and without the login."""
        return authority(self.host, self.port)

    def __str__(self) -> str:
        """Write the URL without the login, fit for logs."""
        return f"{self.scheme}://{self.authority}"


@dataclasses.dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files that make up one TLS identity.

    Attributes:
        certificate: PEM chain, leaf first.
        key: PEM private key.
        ca: PEM bundle of trusted CAs, None when there is none.
    """

    certificate: Path
    key: Path
    ca: Path | None


@dataclasses.dataclass(frozen=True, slots=True)
class Tls:
    """How listeners and outgoing links use TLS.

    Attributes:
        enabled: TLS on the client port (``isTLS``).
        everywhere: TLS on websocket, leafnode, route and gateway ports; differs from ``enabled`` only with
            ``--disable-tls`` and ``client_tls_force_required``.
        verify_clients: client certificates are verified when presented; False: never requested.
        files: certificate, key and CA of the security provider; None only when TLS is off altogether.
        cipher_suites: IANA names, empty for the library's own choice.
        curves: curve names as nats-server spells them, empty for the library's own choice.
        handshake_timeout: seconds.
    """

    enabled: bool
    everywhere: bool
    verify_clients: bool
    files: TlsFiles | None
    cipher_suites: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    handshake_timeout: float = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class RemoteTls:
    """TLS of one gateway or leafnode remote where it differs from the broker's.

    Attributes:
        certificate, key, ca: own files; all None means the broker's files.
        verify: verify the other side's certificate.
        disabled: clear text to this remote.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    verify: bool = True
    disabled: bool = False

    @property
    def custom(self) -> bool:
        """True when any own file is given."""
        return any((self.certificate, self.key, self.ca))


@dataclasses.dataclass(frozen=True, slots=True)
class GatewayRemote:
    """Another cluster this one reaches through gateways."""

    name: str
    urls: tuple[Endpoint, ...]
    tls: RemoteTls


@dataclasses.dataclass(frozen=True, slots=True)
class LeafnodeRemote:
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


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """Cluster of peers.

    Attributes:
        peers: every member found (SRV or setting), this broker included when it is listed.
        routes: the members to connect to, this broker left out.
        port: cluster listener; meaningful only with peers.
        user, password: login between members, empty and None when unset.
        tls: TLS on routes; False is for mixed clusters with go-choria.
        source: ``setting``, the SRV record's name, or empty without peers.
    """

    peers: tuple[Endpoint, ...] = ()
    routes: tuple[Endpoint, ...] = ()
    port: int = 0
    user: str = ""
    password: Secret | None = None
    tls: bool = True
    source: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Gateway:
    """Gateways between clusters; ``name`` is the cluster's name with or without them."""

    name: str = "CHORIA"
    port: int = 0
    remotes: tuple[GatewayRemote, ...] = ()
    tls: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Leafnodes:
    """Leafnode listener (port 0: none) and remotes."""

    port: int = 0
    remotes: tuple[LeafnodeRemote, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Websocket:
    """Websocket listener (port 0: none) and the ``host:port`` told to its clients (empty: none)."""

    port: int = 0
    advertise: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SubjectMapping:
    """One subject mapping in account ``choria``."""

    name: str
    source: str
    destination: str


@dataclasses.dataclass(frozen=True, slots=True)
class StandardStream:
    """Retention (seconds, 0 or less: not managed) and replicas (-1: number of peers) of one standard stream."""

    retention: float
    replicas: int = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Streams:
    """Choria Streams; ``store`` None means off.

    Attributes:
        store: directory of the data.
        manage: create and update the standard streams.
        events, machine, advisories, executor, leader_election: the standard streams.
        sync: seconds between writes to disk, 0.0 for every message, None for the engine's own choice.
    """

    store: Path | None = None
    manage: bool = True
    events: StandardStream = StandardStream(86400.0)
    machine: StandardStream = StandardStream(86400.0)
    advisories: StandardStream = StandardStream(604800.0)
    executor: StandardStream = StandardStream(0.0)
    leader_election: StandardStream = StandardStream(60.0)
    sync: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Provisioning:
    """Provisioning of new nodes.

    Attributes:
        client_password: password of user ``provisioner``; its presence creates account ``provisioning``.
        signer: file that verifies provisioning tokens, None when unset.
        provisioner_without_token: on issuer networks the password alone lets the provisioner in.
    """

    client_password: Secret | None = None
    signer: Path | None = None
    provisioner_without_token: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class SystemUser:
    """Login of the ``system`` account."""

    user: str
    password: Secret


@dataclasses.dataclass(frozen=True, slots=True)
class Issuer:
    """An organization issuer.

    Attributes:
        name: compared with the ``ou`` claim.
        public_key: 64 lower-case hex digits.
        account: account its connections are placed in.
    """

    name: str
    public_key: str
    account: str = "choria"


@dataclasses.dataclass(frozen=True, slots=True)
class OperatorAccount:
    """An account of an operator's store, verified.

    Attributes:
        name: its name in the store.
        key: its public key, by which the engine knows it.
        token: what the operator says of it.
        credentials: file with which the broker logs in to it, None when there is none that can be used.
    """

    name: str
    key: str
    token: str = dataclasses.field(repr=False)
    credentials: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Operator:
    """An operator whose accounts the engine serves; who gets in is the engine's decision, by the tokens of users.

    Attributes:
        name: its name.
        directory: its store.
        token: what it says of itself.
        accounts: accounts it vouches for.
        system: the system account, None when there is none.
        choria: account of Choria Streams and of the broker's own connections, None when none is chosen.
    """

    name: str
    directory: Path
    token: str = dataclasses.field(repr=False)
    accounts: tuple[OperatorAccount, ...] = ()
    system: OperatorAccount | None = None
    choria: OperatorAccount | None = None

    def account(self, text: str) -> OperatorAccount | None:
        """Return the account with this name or public key, None when the store has no good one."""
        return next((account for account in self.accounts if text in (account.name, account.key)), None)

    def credentials_directory(self, account: str) -> Path:
        """Return where the broker looks for credentials files of an account, which is given by its name."""
        return self.directory / "creds" / account


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """The network broker.

    Attributes:
        listen_address: address of every NATS listener; ``::`` is dual stack.
        client_port: client listener; 0 means any free port.
        public_url: ``host[:port]`` told to clients, without scheme; empty when unset.
        write_deadline: seconds until a client that does not read is dropped.
        tls_timeout, auth_timeout: seconds.
        max_connections: most client connections at once.
        client_hosts: networks whose members may act as fleet clients; empty means all.
        deny_server_connections: fleet servers are denied everything.
        client_signers, server_signers: hex keys or file paths, as configured.
        client_anon_tls: certificates are not requested, and besides provisioning only clients with tokens get in.
        system_user: None when no login for account ``system`` exists.
        accounts: further local accounts, those of issuers left out unless they are declared too.
        unverified_account: account for connections without certificate and token; empty means refused.
        operator: in operator mode the operator, which decides on connections in place of everything above; else None.
        soft_shutdown_timeout: seconds for an orderly stop.
    """

    listen_address: str = "::"
    client_port: int = 4222
    public_url: str = ""
    write_deadline: float = 5.0
    tls_timeout: float = 2.0
    auth_timeout: float = 2.0
    max_connections: int = 50000
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
    pprof_port: int = 0
    soft_shutdown_timeout: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Security:
    """Who is trusted.

    Attributes:
        provider: where certificates come from.
        issuers: organization issuers; non-empty selects issuer mode.
        choria_ca: ``plugin.security.choria.ca`` is set.
    """

    provider: Provider = Provider.PUPPET
    issuers: tuple[Issuer, ...] = ()
    choria_ca: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics listener; port 0 means none. ``ui`` serves status pages on other than loopback binds."""

    address: str = "127.0.0.1"
    port: int = 0
    ui: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Everything the broker was told.

    Attributes:
        source: absolute path of the main configuration file.
        identity: name of this broker.
        logfile: ``stdout``, ``stderr``, ``discard`` or a path.
        loglevel: level of the log.
        collectives, main_collective: names.
        network_enabled, federation_enabled: which brokers run.
        adapters: names of data adapters to run.
        network: the network broker.
        security: who is trusted.
        tls: how TLS is used.
        statistics: the statistics listener.
        origins: where each key that was set was set.
        raw: all keys as read, for features that own families of keys; holds secrets, so it is not in the text form.
    """

    source: Path
    identity: str
    tls: Tls
    logfile: str = "stdout"
    loglevel: LogLevel = LogLevel.INFO
    collectives: tuple[str, ...] = ("mcollective",)
    main_collective: str = "mcollective"
    network_enabled: bool = False
    federation_enabled: bool = False
    federation_cluster: str = "mcollective"
    adapters: tuple[str, ...] = ()
    network: Network = Network()
    security: Security = Security()
    statistics: Statistics = Statistics()
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict, repr=False)
    raw: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    def origin(self, key: str) -> Origin:
        """Tell where a key was set."""
        return self.origins.get(key, DEFAULT)
