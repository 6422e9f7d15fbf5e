"""The one table of settings: everything the broker reads, and what it knows of other programs' keys.

It feeds the parser, validation, the reference manual, ``check`` and the hints for unknown keys. The rows of who may
connect and as whom, and of security, are in ``access``, those of other programs in ``foreign``.
"""

from __future__ import annotations

from collections.abc import Iterator

from choria_broker.config.table.access import ACCESS, SECURITY
from choria_broker.config.table.foreign import FOREIGN
from choria_broker.config.table.schema import Apply, Owner, Setting, Shows, Status, Table, ValueKind
from choria_broker.config.table.schema import setting_row as _row
from choria_broker.settings import durations
from choria_broker.settings.broker import LogLevel
from choria_broker.settings.links import DEFAULT_PEER_PORT
from choria_broker.settings.network import NETWORK
from choria_broker.settings.streams import STANDARD_STREAMS, StandardStream
from choria_broker.settings.tls import KeyProcesses

_LIVE, _ENGINE, _RESTART = Apply.LIVE, Apply.ENGINE, Apply.RESTART
_STRING, _PATH, _INTEGER, _PORT = ValueKind.STRING, ValueKind.PATH, ValueKind.INTEGER, ValueKind.PORT
_BOOLEAN, _DURATION, _LIST, _SWITCH = ValueKind.BOOLEAN, ValueKind.DURATION, ValueKind.LIST, ValueKind.SWITCH
_NEW = Status.NEW
_WORDS, _PLACES, _FILES = Shows.WORDS, Shows.PLACES, Shows.FILES
_HIGHEST_BOUND = 2**31 - 1


# fmt: off
# One row of the table stays one or two lines, which the formatter would stretch to ten.


def _core() -> tuple[Setting, ...]:
    g, choria = "The process", "plugin.choria."
    return (
        _row(g, "identity", _STRING, "", _RESTART,
             "Name of this broker: server name, label on metrics, Puppet file names. Unset: the full host name.",
             shows=_WORDS),
        _row(g, "logfile", _PATH, "stdout", _RESTART,
             "Where the log goes: stdout, stderr, discard, or a file to which it is appended."),
        _row(g, "loglevel", ValueKind.CHOICE, "info", _LIVE,
             "Lowest level that is logged; debug also turns on the engine's debug log.", choices=tuple(LogLevel)),
        _row(g, "collectives", _LIST, "", _RESTART,
             "Collectives that adapters, federation and streams use. Unset: mcollective, or choria with the "
             "choria security provider.", shows=_WORDS),
        _row(g, "main_collective", _STRING, "", _RESTART,
             "The collective used where only one is possible. Unset: the first of collectives.", shows=_WORDS),
        _row(g, NETWORK + "soft_shutdown_timeout", _INTEGER, "60", _LIVE,
             "Seconds for an orderly stop before the process is forced to exit; 0 or less means 10.", since="0.28"),
        _row(g, NETWORK + "drain_on_stop", _DURATION, "0s", _LIVE,
             "Time over which connections are moved to other brokers before an orderly stop; 0s stops at once. "
             "soft_shutdown_timeout begins after it.", status=_NEW,
             field="Network.drain_on_stop", most=86400),
        _row(g, choria + "broker_network", _BOOLEAN, "false", _RESTART, "Run the network broker.",
             field="Settings.network_enabled"),
        _row(g, choria + "broker_federation", _BOOLEAN, "false", _LIVE,
             "Run the federation broker, beside the network broker or without it."),
        _row(g, choria + "adapters", _LIST, "", _LIVE,
             "Names of the adapters to run, beside the network broker or without it.", shows=_WORDS),
        _row("Statistics", choria + "stats_address", _STRING, "127.0.0.1", _RESTART,
             "Address of the statistics listener, which requires no password. For a host name, all its "
             "addresses that this host has.", shows=_PLACES),
        _row("Statistics", choria + "stats_port", _PORT, "0", _RESTART,
             "Port for statistics and NATS monitoring; 0 turns both off.", field="Statistics.port"),
        _row("Statistics", choria + "stats_ui", _BOOLEAN, "false", _LIVE,
             "Show /choria/status and the dashboard to other machines too, if they can reach stats_address.",
             status=_NEW, field="Statistics.ui"),
    )


def _elsewhere() -> tuple[Setting, ...]:
    choria = "plugin.choria."
    return (
        _row("Discovery", choria + "use_srv", _BOOLEAN, "true", _RESTART,
             "Look up peers and middleware in DNS SRV records."),
        _row("Discovery", choria + "srv_domain", _STRING, "", _RESTART,
             "Domain of the SRV records. Unset: what follows the first dot of the identity, then facter's "
             "networking.domain.", environment="CHORIA_SRV_DOMAIN", shows=_PLACES),
        _row("Discovery", choria + "middleware_hosts", _LIST, "", _LIVE,
             "Brokers to which adapters without a network broker in their process connect, and the collective side of "
             "federation.", shows=_PLACES),
        _row("Federation", choria + "federation_middleware_hosts", _LIST, "", _LIVE,
             "Brokers to which the federation side of the federation broker connects.", shows=_PLACES),
        _row("Federation", choria + "federation.cluster", _STRING, "mcollective", _LIVE,
             "Name of the federation cluster that this broker serves; clients use it.", shows=_WORDS),
        _row("Outgoing connections", "plugin.nats.user", _STRING, "", _LIVE,
             "User for outgoing connections of adapters and federation.", environment="MCOLLECTIVE_NATS_USERNAME"),
        _row("Outgoing connections", "plugin.nats.pass", _STRING, "", _LIVE,
             "Password for outgoing connections.", environment="MCOLLECTIVE_NATS_PASSWORD", secret=True),
        _row("Outgoing connections", "plugin.nats.credentials", _STRING, "", _LIVE,
             "NATS credentials file for outgoing connections.", environment="MCOLLECTIVE_NATS_CREDENTIALS",
             shows=_FILES),
    )


def _network() -> tuple[Setting, ...]:
    g, n = "Network broker", NETWORK
    return (
        _row(g, n + "listen_address", _STRING, "::", _RESTART,
             "Address of the client, peer, gateway, leafnode, websocket and profiling listeners. :: and 0.0.0.0 "
             "mean every IPv4 and IPv6 address, or every IPv4 address on a host without IPv6. For a host name, "
             "one of its addresses that this host has is used, IPv4 first.", shows=_PLACES),
        _row(g, n + "client_port", _PORT, "4222", _RESTART,
             "Port for clients and servers; 0 takes any free port.", field="Network.client_port"),
        _row(g, n + "public_url", _STRING, "", _ENGINE,
             "host:port announced to clients instead of identity and client port, for brokers behind a proxy.",
             since="0.15", shows=_PLACES),
        *_bounds(g),
        _row(g, n + "client_tls_force_required", _BOOLEAN, "false", _RESTART,
             "Keep TLS on the client port even with --disable-tls."),
        _row(g, n + "pprof_port", _PORT, "0", _RESTART,
             "Port of the engine's profiling listener, which answers only programs on this machine; 0 turns it off.",
             since="0.21", field="Network.pprof_port"),
        _row(g, n + "accounts", _LIST, "", _ENGINE,
             "Further local accounts, isolated from all others, for leafnode remotes and unverified_account. "
             "Names consist of letters, digits, - and _.", status=_NEW, shows=_WORDS),
        _row(g, n + "publish_events", _BOOLEAN, "false", _LIVE,
             "Publish what happens to this broker as choria.broker.event.KIND.IDENTITY in account choria, and have "
             "CHORIA_EVENTS keep it. Set it to the same value on all members of a cluster.", status=_NEW,
             field="Network.publish_events"),
        _row(g, n + "system.user", _STRING, "", _LIVE,
             "User name for the system account; needs the password too.", since="0.21"),
        _row(g, n + "system.password", _STRING, "", _LIVE,
             "Password for the system account.", since="0.21", secret=True),
    )


def _bounds(group: str) -> tuple[Setting, ...]:
    g, n = group, NETWORK
    return (
        _row(g, n + "write_deadline", _DURATION, "5s", _ENGINE,
             "How long a client may fail to read before it is disconnected; go-choria's code uses 10s. Links to "
             "other brokers have at least 10s.", field="Network.write_deadline", above_zero=True),
        _row(g, n + "tls_timeout", _DURATION, "2s", _ENGINE,
             "Time for a TLS handshake, at most 60s; a number without a unit means seconds.",
             field="Tls.handshake_timeout", above_zero=True, most=60),
        _row(g, n + "tls_key_processes", ValueKind.CHOICE, "auto", _ENGINE,
             "Which TLS private keys are held by key processes, small processes of the broker, instead of the engine: "
             "auto for RSA keys, which sign faster there; always for keys of every kind; or never.",
             status=_NEW, choices=tuple(KeyProcesses), field="Tls.key_processes"),
        _row(g, n + "auth_timeout", _DURATION, "2s", _ENGINE,
             "Time that a connection has to log in, at most 60s.", since="0.30",
             field="Network.auth_timeout", above_zero=True, most=60),
        _row(g, n + "max_connections", _INTEGER, "50000", _ENGINE,
             "Most client connections that are logged in at the same time; the limit of open files is raised to match.",
             status=_NEW, field="Network.max_connections", above_zero=True, most=_HIGHEST_BOUND),
        _row(g, n + "max_unauthenticated", _INTEGER, "1000", _ENGINE,
             "Most connections of each listener that have not logged in yet. When there are too many, the "
             "broker closes one of the address that has the most.", status=_NEW,
             field="Network.max_unauthenticated", above_zero=True, most=_HIGHEST_BOUND),
        _row(g, n + "max_handshakes", _INTEGER, "1000", _ENGINE,
             "Most client logins that are handled at the same time. The broker handles fewer when the machine is too "
             "slow; the other clients wait, which costs nothing. 0 or less: no limit, no client waits.",
             status=_NEW, field="Network.max_handshakes", most=_HIGHEST_BOUND),
        _row(g, n + "max_subscriptions", _INTEGER, "20000", _ENGINE,
             "Most subscriptions of one connection; 1000 for a node waiting for provisioning. One with more "
             "than 8 parts or 256 bytes counts several times.", status=_NEW,
             field="Network.max_subscriptions", above_zero=True, most=_HIGHEST_BOUND),
    )


def _links() -> tuple[Setting, ...]:
    n = NETWORK
    gateway, leafnode = n + "gateway_remote.NAME.", n + "leafnode_remote.NAME."
    c, g, lf = "Cluster", "Gateways", "Leafnodes"
    return (
        _row(c, n + "peers", _LIST, "", _ENGINE,
             "Members of the cluster as host:port, including this broker; SRV records override it. To add the "
             "first one or remove the last one needs a restart.", shows=_PLACES),
        _row(c, n + "peer_port", _PORT, "0", _RESTART,
             f"Port of the cluster listener; {DEFAULT_PEER_PORT} if there are peers."),
        _row(c, n + "peer_user", _STRING, "", _ENGINE,
             "User name with which members of the cluster log in; needs the password too."),
        _row(c, n + "peer_password", _STRING, "", _ENGINE,
             "Password with which members of the cluster log in.", secret=True),
        _row(c, n + "peer_tls", _BOOLEAN, "true", _RESTART,
             "TLS between members, which verify each other's certificates; false joins a cluster of go-choria brokers "
             "in clear text.", status=_NEW, field="Cluster.tls"),
        _row(g, n + "gateway_name", _STRING, "CHORIA", _RESTART,
             "Name of this cluster, with and without gateways.", shows=_WORDS, field="Gateway.name"),
        _row(g, n + "gateway_port", _PORT, "0", _RESTART,
             "Port of the gateway listener; needs gateway_remotes too."),
        _row(g, n + "gateway_remotes", _LIST, "", _RESTART,
             "Names of the clusters to connect to; this cluster's own name may be among them.", shows=_WORDS),
        _row(g, n + "gateway_tls", _BOOLEAN, "true", _RESTART,
             "TLS on gateways, which verify each other's certificates; false connects to go-choria brokers in "
             "clear text.",
             status=_NEW, field="Gateway.tls"),
        _row(g, gateway + "urls", _LIST, "", _RESTART,
             "Members of that cluster as host:port; required.", shows=_PLACES),
        *_remote_tls(g, gateway, _RESTART),
        _row(lf, n + "leafnode_port", _PORT, "0", _RESTART, "Port of the leafnode listener; 0 means none.",
             field="Leafnodes.port"),
        _row(lf, n + "leafnode_remotes", _LIST, "", _ENGINE, "Names of the brokers to join as a leafnode.",
             shows=_WORDS),
        _row(lf, leafnode + "url", _LIST, "", _ENGINE,
             "Addresses of that broker as host:port, or as ws or wss URL; required.", shows=_PLACES),
        _row(lf, leafnode + "account", _STRING, "choria", _ENGINE, "Local account bound to the remote.", shows=_WORDS),
        _row(lf, leafnode + "credentials", _PATH, "", _ENGINE, "NATS credentials file for the remote."),
        _row(lf, leafnode + "credential", _PATH, "", _ENGINE,
             "Another name of credentials.", status=Status.ALIAS, note="write credentials"),
        *_remote_tls(lf, leafnode, _ENGINE),
    )


def _websockets() -> tuple[Setting, ...]:
    w, m, n, mapping = "Websockets", "Subject mappings", NETWORK, NETWORK + "mapping.NAME."
    return (
        _row(w, n + "websocket_port", _PORT, "0", _RESTART,
             "Port of the websocket listener; 0 means none.", since="0.23", field="Websocket.port"),
        _row(w, n + "websocket_advertise", _STRING, "", _RESTART,
             "host:port of the websocket listener as others see it. The engine shows it on /varz; it is not "
             "announced to clients.", since="0.23", shows=_PLACES),
        _row(w, n + "websocket_origins", _LIST, "", _RESTART,
             "Sites whose pages in browsers may open websockets, as https://host or https://host:port, in "
             "addition to pages from this broker's own address; any accepts all. Does not apply to programs.",
             status=_NEW, shows=_PLACES),
        _row(m, n + "mapping.names", _LIST, "", _ENGINE,
             "Names of the subject mappings in account choria, in their order.", since="0.26", shows=_WORDS),
        _row(m, mapping + "source", _STRING, "", _ENGINE, "Subject to match.", since="0.26", shows=_WORDS),
        _row(m, mapping + "destination", _STRING, "", _ENGINE,
             "Subject to which it is mapped; functions such as {{wildcard(1)}} and {{partition(10,1)}} can be "
             "used.", since="0.26",
             shows=_WORDS),
    )


def _remote_tls(group: str, prefix: str, apply: Apply) -> tuple[Setting, ...]:
    return (
        _row(group, prefix + "tls.cert", _PATH, "", _LIVE, "Own certificate for this remote."),
        _row(group, prefix + "tls.key", _PATH, "", _LIVE, "Own private key for this remote."),
        _row(group, prefix + "tls.ca", _PATH, "", _LIVE, "Own CA for this remote."),
        _row(group, prefix + "tls.verify", _SWITCH, "yes", apply,
             "Verify the certificate of the other side."),
        _row(group, prefix + "tls.disable", _SWITCH, "no", apply, "Use clear text with this remote."),
    )


def _streams() -> tuple[Setting, ...]:
    g, s = "Choria Streams", NETWORK + "stream."
    return (
        _row(g, s + "store", _PATH, "", _RESTART,
             "Directory of Choria Streams; setting it turns them on.", since="0.15", field="Streams.store"),
        _row(g, s + "manage_streams", _BOOLEAN, "true", _LIVE,
             "Create and update the standard streams from this broker.", since="0.26", field="Streams.manage"),
        _row(g, s + "sync", _STRING, "default", _RESTART,
             "How often data are synced to disk: always (before a message is acknowledged), a duration, or "
             "default, the engine's 2 minutes. Newer data can be lost in a power failure.", status=_NEW, shows=_WORDS),
        # The reference has the older ones first.
        *(row for each in sorted(STANDARD_STREAMS, key=lambda stream: stream.since) for row in _stream(g, s, each)),
    )


def _stream(group: str, prefix: str, stream: StandardStream) -> Iterator[Setting]:
    kept = f"How long {stream.keeps} are kept; 0 turns the stream off."
    if stream.elects:
        kept = "How long a leader keeps its role without renewing it, 1s to 1h."
    copies = f"Copies of {stream.keeps} in the cluster; -1 is one on each peer, at most 5."
    for key, kind, default, doc, since in (
        (stream.retention_key, _DURATION, durations.in_short(stream.retention), kept, stream.since[0]),
        (stream.replicas_key, _INTEGER, str(stream.replicas), copies, stream.since[1]),
    ):
        status = _NEW if since == "new" else Status.CURRENT
        yield _row(group, prefix + key, kind, default, _LIVE, doc, since=since, status=status)


def _adapters() -> tuple[Setting, ...]:
    g, a = "Adapters", "plugin.choria.adapter.NAME."
    return (
        _row(g, a + "type", _STRING, "", _LIVE,
             "Kind of the adapter, choria_streams; jetstream is the older name; required.", shows=_WORDS),
        _row(g, a + "queue_len", _INTEGER, "1000", _LIVE,
             "Messages that may wait between input and output.", above_zero=True, most=1_000_000),
        _row(g, a + "ingest.topic", _STRING, "", _LIVE, "Subject to subscribe to; required.", shows=_WORDS),
        _row(g, a + "ingest.protocol", _STRING, "reply", _LIVE,
             "request for requests, anything else for replies.", shows=_WORDS),
        _row(g, a + "ingest.workers", _INTEGER, "10", _LIVE, "Number of workers that read.", above_zero=True,
             most=1000),
        _row(g, a + "stream.servers", _LIST, "", _LIVE,
             "Brokers to publish to. Unset: as for other outgoing connections.", shows=_PLACES),
        _row(g, a + "stream.topic", _STRING, "", _LIVE,
             "Subject to publish to, in which %s is the sender. Unset: the adapter's name.", shows=_WORDS),
        _row(g, a + "stream.workers", _INTEGER, "10", _LIVE, "Number of workers that publish.", above_zero=True,
             most=1000),
        _row(g, a + "stream.type", _STRING, "", _LIVE,
             "Older name of type.", status=Status.ALIAS, note="write type without stream", shows=_WORDS),
    )


# fmt: on
BROKER_SETTINGS = (
    *_core(),
    *_elsewhere(),
    *_network(),
    *ACCESS,
    *_links(),
    *_websockets(),
    *_streams(),
    *SECURITY,
    *_adapters(),
)
"""Rows of the broker's own settings, in the order of the manual."""

SETTINGS = Table((*BROKER_SETTINGS, *FOREIGN))
"""Every key the project knows."""


def others(owner: Owner) -> tuple[Setting, ...]:
    """Return the rows of another Choria program."""
    return tuple(row for row in FOREIGN if row.owner is owner)
