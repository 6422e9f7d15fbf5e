"""The one table of settings: everything the broker reads, and what it knows of other programs' keys.

It feeds the parser, validation, the reference manual, ``check`` and the hints for unknown keys.
"""

from __future__ import annotations

from choria_broker.config.foreign import FOREIGN
from choria_broker.config.schema import Apply, Owner, Setting, Status, Table
from choria_broker.config.suites import CIPHER_SUITES, CURVES
from choria_broker.config.values import Kind

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
PROVIDERS = ("puppet", "file", "certmanager", "choria", "pkcs11")
DEFAULT_PEER_PORT = 5222

NETWORK = "plugin.choria.network."
"""Prefix of the keys of the network broker."""

_LIVE, _ENGINE, _RESTART = Apply.LIVE, Apply.ENGINE, Apply.RESTART
_STRING, _PATH, _INTEGER, _PORT = Kind.STRING, Kind.PATH, Kind.INTEGER, Kind.PORT
_BOOLEAN, _DURATION, _LIST, _SWITCH = Kind.BOOLEAN, Kind.DURATION, Kind.LIST, Kind.SWITCH
_NEW = Status.NEW


def _row(group: str, key: str, kind: Kind, default: str, apply: Apply, doc: str, **more: object) -> Setting:
    since = str(more.pop("since", "new" if more.get("status") is _NEW else "-"))
    return Setting(key, kind, default, since, apply, doc, group, **more)  # type: ignore[arg-type] # fields by name


# fmt: off
# One row of the table stays one or two lines, which the formatter would stretch to ten.


def _core() -> tuple[Setting, ...]:
    g, choria = "The process", "plugin.choria."
    return (
        _row(g, "identity", _STRING, "", _RESTART,
             "Name of this broker: server name, label on metrics, puppet file names; unset, the full host name."),
        _row(g, "logfile", _PATH, "stdout", _RESTART,
             "Where the log goes: stdout, stderr, discard, or a file that is opened for append."),
        _row(g, "loglevel", Kind.CHOICE, "info", _LIVE,
             "Lowest level that is logged; debug turns on the engine's debug log too.", choices=LOG_LEVELS),
        _row(g, "collectives", _LIST, "", _RESTART,
             "Collectives that adapters, federation and streams see; unset, mcollective, or choria with the choria "
             "security provider."),
        _row(g, "main_collective", _STRING, "", _RESTART,
             "The collective used where only one can be; unset, the first of collectives."),
        _row(g, NETWORK + "soft_shutdown_timeout", _INTEGER, "60", _LIVE,
             "Seconds for an orderly stop before the process is forced to exit; 0 and less mean 10.", since="0.28"),
        _row(g, choria + "broker_network", _BOOLEAN, "false", _RESTART, "Run the network broker."),
        _row(g, choria + "broker_federation", _BOOLEAN, "false", _RESTART,
             "Run the federation broker. Not in this version: left out beside the network broker, refused without it."),
        _row(g, choria + "adapters", _LIST, "", _RESTART,
             "Names of the data adapters to run. Not in this version: left out beside the network broker, refused "
             "without it."),
        _row("Statistics", choria + "stats_address", _STRING, "127.0.0.1", _RESTART,
             "Address of the statistics listener, which asks nobody for a password."),
        _row("Statistics", choria + "stats_port", _PORT, "0", _RESTART,
             "Port for statistics and NATS monitoring; 0 turns both off."),
        _row("Statistics", choria + "stats_ui", _BOOLEAN, "false", _LIVE,
             "Show /choria/status to other machines too, where stats_address lets them in.", status=_NEW),
        _row("Discovery", choria + "use_srv", _BOOLEAN, "true", _RESTART,
             "Look in DNS SRV records for peers and middleware."),
        _row("Discovery", choria + "srv_domain", _STRING, "", _RESTART,
             "Domain of the SRV records; unset, what follows the first dot of the identity, then facter's "
             "networking.domain.", environment="CHORIA_SRV_DOMAIN"),
        _row("Discovery", choria + "middleware_hosts", _LIST, "", _RESTART,
             "Brokers that adapters and the collective side of federation connect to."),
        _row("Federation", choria + "federation_middleware_hosts", _LIST, "", _RESTART,
             "Brokers that the federation side of the federation broker connects to."),
        _row("Federation", choria + "federation.cluster", _STRING, "mcollective", _RESTART,
             "Name this federation broker answers to."),
        _row("Outgoing connections", "plugin.nats.user", _STRING, "", _RESTART,
             "User of outgoing connections of adapters and federation.", environment="MCOLLECTIVE_NATS_USERNAME"),
        _row("Outgoing connections", "plugin.nats.pass", _STRING, "", _RESTART,
             "Password of outgoing connections.", environment="MCOLLECTIVE_NATS_PASSWORD", secret=True),
        _row("Outgoing connections", "plugin.nats.credentials", _STRING, "", _RESTART,
             "NATS credentials file of outgoing connections.", environment="MCOLLECTIVE_NATS_CREDENTIALS"),
    )


def _network() -> tuple[Setting, ...]:
    g, n = "Network broker", NETWORK
    return (
        _row(g, n + "listen_address", _STRING, "::", _RESTART,
             "Address of the client, peer, gateway, leafnode and websocket listeners; :: is every IPv4 and IPv6 "
             "address."),
        _row(g, n + "client_port", _PORT, "4222", _RESTART,
             "Port for clients and servers; 0 takes any free port."),
        _row(g, n + "public_url", _STRING, "", _ENGINE,
             "host:port told to clients instead of identity and client port, for brokers behind a proxy.",
             since="0.15"),
        _row(g, n + "write_deadline", _DURATION, "5s", _ENGINE,
             "How long a client may fail to read before it is dropped; go-choria's code uses 10s."),
        _row(g, n + "tls_timeout", _DURATION, "2s", _ENGINE,
             "Time for a TLS handshake, 60s at most; digits alone are seconds."),
        _row(g, n + "auth_timeout", _DURATION, "2s", _ENGINE,
             "Time for a connection to identify itself, 60s at most.", since="0.30"),
        _row(g, n + "max_connections", _INTEGER, "50000", _ENGINE,
             "Most client connections at once; the limit of open files is raised to match.", status=_NEW),
        _row(g, n + "client_tls_force_required", _BOOLEAN, "false", _RESTART,
             "Keep TLS on the client port even with --disable-tls."),
        _row(g, n + "pprof_port", _PORT, "0", _RESTART,
             "Port of the engine's profiling listener; 0 turns it off.", since="0.21"),
        _row(g, n + "accounts", _LIST, "", _ENGINE,
             "Further local accounts, isolated from all others, for leafnode remotes and unverified_account; names of "
             "letters, digits, - and _.", status=_NEW),
        _row(g, n + "system.user", _STRING, "", _LIVE,
             "User of the system account; needs the password too.", since="0.21"),
        _row(g, n + "system.password", _STRING, "", _LIVE,
             "Password of the system account's user.", since="0.21", secret=True),
        _row("Who may connect", n + "client_hosts", _LIST, "", _LIVE,
             "Addresses and networks whose members may act as fleet clients; empty means all."),
        _row("Who may connect", n + "deny_server_connections", _BOOLEAN, "false", _LIVE,
             "Deny fleet servers everything on this broker.", since="0.17"),
        _row("Who may connect", n + "client_signer_cert", _LIST, "", _LIVE,
             "PEM files or 64 digit ed25519 keys that sign client tokens.", since="0.25"),
        _row("Who may connect", n + "server_signer_cert", _LIST, "", _LIVE,
             "PEM files or 64 digit ed25519 keys that sign server tokens.", since="0.25"),
        _row("Who may connect", n + "client_anon_tls", _BOOLEAN, "false", _RESTART,
             "Ask nobody for certificates and admit only clients with valid tokens, and provisioning as configured; "
             "needs client_signer_cert or issuers, and cannot be combined with plugin.security.client_anon_tls. "
             "Without it, signers serve connections with certificates and with tokens.", status=_NEW),
        _row("Who may connect", n + "unverified_account", _STRING, "", _RESTART,
             "Account, one of accounts, where clients get in that present neither certificate nor token nor login, "
             "with TLS and in clear text; unset, they are refused. It may be choria, or the account of an issuer, only "
             "with --disable-tls or where a leafnode remote is bound to that account. Programs that use TLS only on "
             "demand, as the Python NATS library does, come in clear text then.", status=_NEW),
        _row("Provisioning", n + "provisioning.signer_cert", _PATH, "", _LIVE,
             "Key or PEM file that signs provisioning tokens.", since="0.23"),
        _row("Provisioning", n + "provisioning.client_password", _STRING, "", _LIVE,
             "Password of user provisioner; its presence creates account provisioning.", since="0.23", secret=True),
        _row("Provisioning", n + "provisioning.provisioner_without_token", _BOOLEAN, "false", _LIVE,
             "On issuer networks let the provisioner in with the password alone.", since="0.27"),
        _row("Operator mode", n + "operator_account", _STRING, "", _RESTART,
             "Name of the NATS operator whose accounts the broker serves, in its store accounts/nats/NAME beside this "
             "file. Users' tokens then decide who gets in: not combined with settings that say who may connect.",
             status=_NEW),
        _row("Operator mode", n + "system_account", _STRING, "system", _RESTART,
             "System account of the operator, by its public key or its name; unset, the one that the operator's token "
             "names. Without an operator only system is accepted.", status=_NEW),
        _row("Operator mode", n + "choria_account", _STRING, "", _RESTART,
             "Account of the operator that holds Choria Streams, and to which leafnode remotes are bound that name "
             "none, by its name or public key; unset, there are no standard streams.", status=_NEW),
    )


def _links() -> tuple[Setting, ...]:
    n = NETWORK
    gateway, leafnode, mapping = n + "gateway_remote.NAME.", n + "leafnode_remote.NAME.", n + "mapping.NAME."
    c, g, lf, w, m = "Cluster", "Gateways", "Leafnodes", "Websockets", "Subject mappings"
    return (
        _row(c, n + "peers", _LIST, "", _ENGINE,
             "Members of the cluster as host:port, this broker included; SRV records win over it."),
        _row(c, n + "peer_port", _PORT, "0", _RESTART,
             f"Port of the cluster listener; {DEFAULT_PEER_PORT} once there are peers."),
        _row(c, n + "peer_user", _STRING, "", _ENGINE,
             "User that members of the cluster log in with; needs the password too."),
        _row(c, n + "peer_password", _STRING, "", _ENGINE,
             "Password that members of the cluster log in with.", secret=True),
        _row(c, n + "peer_tls", _BOOLEAN, "true", _RESTART,
             "TLS between members, which verify each other's certificates; false joins a cluster of go-choria brokers "
             "in clear text.", status=_NEW),
        _row(g, n + "gateway_name", _STRING, "CHORIA", _RESTART,
             "Name of this cluster, with and without gateways."),
        _row(g, n + "gateway_port", _PORT, "0", _RESTART,
             "Port of the gateway listener; needs gateway_remotes too."),
        _row(g, n + "gateway_remotes", _LIST, "", _ENGINE,
             "Names of the clusters to reach; this cluster's own name may be among them."),
        _row(g, n + "gateway_tls", _BOOLEAN, "true", _RESTART,
             "TLS on gateways, which verify each other's certificates; false joins go-choria brokers in clear text.",
             status=_NEW),
        _row(g, gateway + "urls", _LIST, "", _ENGINE, "Members of that cluster as host:port; required."),
        *_remote_tls(g, gateway),
        _row(lf, n + "leafnode_port", _PORT, "0", _RESTART, "Port of the leafnode listener; 0 means none."),
        _row(lf, n + "leafnode_remotes", _LIST, "", _ENGINE, "Names of the brokers to join as a leafnode."),
        _row(lf, leafnode + "url", _LIST, "", _ENGINE,
             "Addresses of that broker as host:port, or as ws or wss URL; required."),
        _row(lf, leafnode + "account", _STRING, "choria", _ENGINE, "Local account bound to the remote."),
        _row(lf, leafnode + "credentials", _PATH, "", _ENGINE, "NATS credentials file for the remote."),
        _row(lf, leafnode + "credential", _PATH, "", _ENGINE,
             "Another spelling of credentials.", status=Status.ALIAS, note="write credentials"),
        *_remote_tls(lf, leafnode),
        _row(w, n + "websocket_port", _PORT, "0", _RESTART,
             "Port of the websocket listener; 0 means none.", since="0.23"),
        _row(w, n + "websocket_advertise", _STRING, "", _ENGINE,
             "host:port of the websocket listener as others see it; the engine shows it on /varz, and tells clients of "
             "no address of other brokers.", since="0.23"),
        _row(m, n + "mapping.names", _LIST, "", _ENGINE,
             "Names of the subject mappings in account choria, in their order.", since="0.26"),
        _row(m, mapping + "source", _STRING, "", _ENGINE, "Subject to match.", since="0.26"),
        _row(m, mapping + "destination", _STRING, "", _ENGINE,
             "Subject to turn it into; {{wildcard(1)}} and {{partition(10,1)}} are understood.", since="0.26"),
    )


def _remote_tls(group: str, prefix: str) -> tuple[Setting, ...]:
    return (
        _row(group, prefix + "tls.cert", _PATH, "", _ENGINE, "Own certificate for this remote."),
        _row(group, prefix + "tls.key", _PATH, "", _ENGINE, "Own private key for this remote."),
        _row(group, prefix + "tls.ca", _PATH, "", _ENGINE, "Own CA for this remote."),
        _row(group, prefix + "tls.verify", _SWITCH, "yes", _ENGINE,
             "Verify the certificate of the other side."),
        _row(group, prefix + "tls.disable", _SWITCH, "no", _ENGINE, "Clear text to this remote."),
    )


def _streams() -> tuple[Setting, ...]:
    g, s = "Choria Streams", NETWORK + "stream."
    kept = "How long {} are kept; 0 leaves the stream alone."
    copies = "Copies of {} in the cluster; -1 is one for each peer, 5 the most."
    return (
        _row(g, s + "store", _PATH, "", _RESTART,
             "Directory of Choria Streams, which it turns on.", since="0.15"),
        _row(g, s + "manage_streams", _BOOLEAN, "true", _LIVE,
             "Create and update the standard streams from this broker.", since="0.26"),
        _row(g, s + "sync", _STRING, "default", _RESTART,
             "How often data are forced to disk: always (before a message is acknowledged), a duration, or default, "
             "the engine's 2 minutes. What is younger can be lost in a power failure.", status=_NEW),
        _row(g, s + "event_retention", _DURATION, "24h", _LIVE,
             kept.format("lifecycle events"), since="0.15"),
        _row(g, s + "event_replicas", _INTEGER, "-1", _LIVE, copies.format("lifecycle events"), since="0.21"),
        _row(g, s + "machine_retention", _DURATION, "24h", _LIVE,
             kept.format("autonomous agent events"), since="0.15"),
        _row(g, s + "machine_replicas", _INTEGER, "-1", _LIVE,
             copies.format("autonomous agent events"), since="0.21"),
        _row(g, s + "advisory_retention", _DURATION, "168h", _LIVE,
             kept.format("stream advisories"), since="0.16"),
        _row(g, s + "advisory_replicas", _INTEGER, "-1", _LIVE,
             copies.format("stream advisories"), since="0.21"),
        _row(g, s + "leader_election_ttl", _DURATION, "1m", _LIVE,
             "How long a leader stays one without renewing, 1s to 1h.", since="0.25"),
        _row(g, s + "leader_election_replicas", _INTEGER, "-1", _LIVE,
             copies.format("the election bucket"), since="0.25"),
        _row(g, s + "executor_retention", _DURATION, "0", _LIVE,
             kept.format("executor events"), since="0.30"),
        _row(g, s + "executor_replicas", _INTEGER, "-1", _LIVE,
             copies.format("executor events"), since="0.30"),
    )


def _security() -> tuple[Setting, ...]:
    g, s = "Security", "plugin.security."
    return (
        _row(g, s + "provider", Kind.CHOICE, "puppet", _RESTART,
             "Where certificate, private key and CA come from.", choices=PROVIDERS),
        _row(g, "plugin.choria.ssldir", _PATH, "", _RESTART,
             "Directory with the TLS files of the puppet and certmanager providers; unset, puppet is asked."),
        _row(g, s + "file.certificate", _PATH, "", _ENGINE, "Certificate of the file provider."),
        _row(g, s + "file.key", _PATH, "", _ENGINE, "Private key of the file provider."),
        _row(g, s + "file.ca", _PATH, "", _ENGINE, "CA of the file provider."),
        _row(g, s + "choria.certificate", _PATH, "", _ENGINE,
             "Certificate of the choria provider.", since="0.27"),
        _row(g, s + "choria.key", _PATH, "", _ENGINE, "Private key of the choria provider.", since="0.27"),
        _row(g, s + "choria.ca", _PATH, "", _RESTART,
             "CA of the choria provider; set, client certificates are verified when presented; unset, never asked "
             "for.", since="0.27"),
        _row(g, s + "choria.token_file", _PATH, "", _RESTART,
             "Token of this broker for outgoing connections.", since="0.27"),
        _row(g, s + "choria.seed_file", _PATH, "", _RESTART, "Seed that belongs to the token.", since="0.27"),
        _row(g, s + "choria.trusted_signers", _LIST, "", _RESTART,
             "ed25519 keys of trusted signers for the choria provider, when there are no issuers.", since="0.26.2"),
        _row(g, s + "issuer.names", _LIST, "", _LIVE,
             "Organization issuers whose tokens are accepted.", since="0.27"),
        _row(g, s + "issuer.NAME.public", _STRING, "", _LIVE,
             "ed25519 public key of the issuer, 64 hexadecimal digits.", since="0.27"),
        _row(g, s + "issuer.NAME.account", _STRING, "choria", _ENGINE,
             "Account of the connections with tokens of this issuer, which is created when named, isolated from all "
             "others, and has JetStream when stream.store is set. Issuers may share one; system, provisioning and "
             "auth are taken.", status=_NEW),
        _row(g, s + "cipher_suites", _LIST, "", _ENGINE,
             f"TLS 1.2 cipher suites: {', '.join(CIPHER_SUITES)}; unset, the engine's own choice."),
        _row(g, s + "ecc_curves", _LIST, "", _ENGINE,
             f"Curves: {', '.join(CURVES)}; unset, the engine's own choice."),
        _row(g, s + "support_legacy_certificates", _BOOLEAN, "false", _RESTART,
             "Accept certificates without alternative names on outgoing connections.", since="0.20"),
        _row(g, s + "server_anon_tls", _BOOLEAN, "false", _RESTART,
             "Turns client certificates off for the whole process.", since="0.25"),
        _row(g, s + "client_anon_tls", _BOOLEAN, "false", _RESTART,
             "Turns client certificates off for the whole process; needs a request signer.", since="0.17"),
        _row(g, s + "pkcs11.driver_file", _PATH, "", _RESTART,
             "Driver of the pkcs11 provider, which brokers cannot use."),
        _row(g, s + "pkcs11.slot", _INTEGER, "0", _RESTART,
             "Slot of the pkcs11 provider, which brokers cannot use."),
        _row(g, "plugin.choria.security.request_signing_certificate", _PATH, "", _LIVE,
             "PEM file or key file of the signer of client tokens: another name for one entry of client_signer_cert, "
             "used when that is unset.",
             status=Status.ALIAS, note="write plugin.choria.network.client_signer_cert"),
    )


def _adapters() -> tuple[Setting, ...]:
    g, a = "Adapters", "plugin.choria.adapter.NAME."
    return (
        _row(g, a + "type", _STRING, "", _RESTART,
             "Kind of the adapter, choria_streams; jetstream is the older name; required."),
        _row(g, a + "queue_len", _INTEGER, "1000", _RESTART,
             "Messages that may wait between input and output."),
        _row(g, a + "ingest.topic", _STRING, "", _RESTART, "Subject to subscribe to; required."),
        _row(g, a + "ingest.protocol", _STRING, "reply", _RESTART,
             "request for requests, anything else for replies."),
        _row(g, a + "ingest.workers", _INTEGER, "10", _RESTART, "Workers that read."),
        _row(g, a + "stream.servers", _LIST, "", _RESTART,
             "Brokers to publish to; unset, as for any outgoing connection."),
        _row(g, a + "stream.topic", _STRING, "", _RESTART,
             "Subject to publish to, %s being the sender; unset, the adapter's name."),
        _row(g, a + "stream.workers", _INTEGER, "10", _RESTART, "Workers that publish."),
        _row(g, a + "stream.type", _STRING, "", _RESTART,
             "Older place of type.", status=Status.ALIAS, note="write type without stream"),
    )


# fmt: on
BROKER_SETTINGS = (*_core(), *_network(), *_links(), *_streams(), *_security(), *_adapters())
"""Rows of the broker's own settings, in the order of the manual."""

SETTINGS = Table((*BROKER_SETTINGS, *FOREIGN))
"""Every key the project knows."""


def others(owner: Owner) -> tuple[Setting, ...]:
    """Return the rows of another Choria program."""
    return tuple(row for row in FOREIGN if row.owner is owner)
