"""Settings to the engine's configuration file: a pure function to text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from choria_broker.engine.conf.syntax import Value, write
from choria_broker.settings import durations, hostnames
from choria_broker.settings.broker import LogLevel, Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.links import GatewayRemote, LeafnodeRemote
from choria_broker.settings.operator import Operator
from choria_broker.settings.secret import MASK, Secret
from choria_broker.settings.tls import RemoteTls
from choria_broker.values import Discreet

Block = dict[str, Value]

OUTSIDE = "key-process:"
"""Begins the key file of a key that key processes hold; the engine does not read that file."""

ANY_PORT = -1
"""What nats-server reads as: any free port."""

LEAFNODE_AUTH_TIMEOUT = 10
"""Seconds a leafnode has to authenticate; long distance links need more than clients do."""

LINK_WRITE_DEADLINE = 10.0
"""Seconds that a link to another broker has at least, where a client has less."""

_ELECTION_LOOKUP = "$JS.API.STREAM.INFO.KV_CHORIA_LEADER_ELECTION"
_ELECTION_KEY = "$KV.CHORIA_LEADER_ELECTION.provisioner"
_LIFECYCLE = "choria.lifecycle.>"


class Rendered(Discreet, frozen=True):
    """One configuration for the engine.

    Attributes:
        text: the file, secrets included.
        masked: the same with secrets masked, for people.
        optional_client_certificates: certificates are verified when presented and not demanded, which the file
            itself cannot say.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"text"})

    text: str
    masked: str
    optional_client_certificates: bool


def render(settings: Settings) -> Rendered:
    """Render the engine's configuration.

    Args:
        settings: validated settings.
    """
    block = _basics(settings)
    block["cluster"] = _cluster(settings)
    for key, part in (
        ("gateway", _gateway(settings)),
        ("leafnodes", _leafnodes(settings)),
        ("websocket", _websocket(settings)),
        ("jetstream", _jetstream(settings)),
    ):
        if part:
            block[key] = part
    operator = settings.network.operator
    block |= _operator(operator) if operator else {"system_account": "system", "accounts": _accounts(settings)}
    block["authorization"] = {"timeout": _seconds(settings.network.auth_timeout)}
    return Rendered(
        text=write(block),
        masked=write(block, masked=True),
        optional_client_certificates=settings.tls.enabled and settings.tls.verify_clients,
    )


def client_advertise(settings: Settings) -> str:
    """Return the ``host:port`` told to clients: the public URL, else identity and client port.

    It is empty for free ports, and for an identity that is no host: the engine ends where it cannot read this.
    """
    network = settings.network
    if network.public_url:
        return network.public_url
    host = hostnames.comparable(settings.identity)
    return hostnames.authority(host, network.client_port) if network.client_port and hostnames.is_host(host) else ""


def _basics(settings: Settings) -> Block:
    network = settings.network
    block: Block = {
        "server_name": settings.identity,
        "host": network.listen_address,
        "port": network.client_port or ANY_PORT,
        "write_deadline": durations.in_one_unit(network.write_deadline),
        "max_connections": network.max_connections,
        "max_subscriptions": network.max_subscriptions,
        "logtime": False,
        "debug": settings.loglevel is LogLevel.DEBUG,
    }
    if advertise := client_advertise(settings):
        block["client_advertise"] = advertise
    if network.pprof_port:
        block["prof_port"] = network.pprof_port
    if settings.tls.enabled:
        block["tls"] = _listener_tls(settings)
        if network.unverified_account:
            block["allow_non_tls"] = True
    return block


def _listener_tls(settings: Settings) -> Block:
    """TLS of a listener for clients and leafnodes: never demands a certificate, the engine makes it optional."""
    block = _identity_tls(settings)
    if not settings.tls.verify_clients:
        block.pop("ca_file", None)
    return block


def _identity_tls(settings: Settings) -> Block:
    tls = settings.tls
    if tls.files is None:
        raise ValueError("TLS is on but no TLS files are set")
    block: Block = {"cert_file": str(tls.files.certificate), "key_file": _key_file(settings, tls.files.key)}
    if tls.files.ca:
        block["ca_file"] = str(tls.files.ca)
    block["min_version"] = "1.2"
    block["timeout"] = _seconds(tls.handshake_timeout)
    if tls.cipher_suites:
        block["cipher_suites"] = list(tls.cipher_suites)
    if tls.curves:
        block["curve_preferences"] = list(tls.curves)
    return block


def _key_file(settings: Settings, path: Path) -> str:
    return f"{OUTSIDE}{path}" if path in settings.tls.outside else str(path)


def _link_tls(settings: Settings, *, named: bool) -> Block:
    """TLS of a listener for other brokers: certificates are demanded, and have to be of a broker that is listed.

    Without the second, any certificate of the CA, a fleet node's too, would make its holder a broker.
    """
    return _identity_tls(settings) | {"verify_cert_and_check_known_urls" if named else "verify": True}


def _link_deadline(settings: Settings) -> Block:
    """How long another broker may fail to read: much depends on a link, and long distances are slow."""
    return {"write_deadline": durations.in_one_unit(max(settings.network.write_deadline, LINK_WRITE_DEADLINE))}


def _cluster(settings: Settings) -> Block:
    """The cluster always has its name; a listener and routes only with peers."""
    cluster, network = settings.network.cluster, settings.network
    block: Block = {"name": network.gateway.name}
    if not cluster.joined:
        return block
    block |= {"host": network.listen_address, "port": cluster.port, "no_advertise": True, "pool_size": -1}
    if own := _known_as(settings.identity, cluster.peers):
        block["advertise"] = own.authority
    if cluster.user and cluster.password:
        block["authorization"] = {"user": cluster.user, "password": cluster.password}
    if settings.tls.everywhere and cluster.tls:
        # The engine checks names or the login, not both.
        block["tls"] = _link_tls(settings, named=not cluster.user and cluster.known_by_name)
    block["routes"] = [_route(route, cluster.user, cluster.password) for route in cluster.routes]
    return block | _link_deadline(settings)


def _known_as(identity: str, listed: Iterable[Endpoint]) -> Endpoint | None:
    """Return the place where a list names this broker; None when it does not, or not by its identity.

    Brokers tell each other of brokers. Without this place they would tell the address, which is in no certificate.
    """
    return next((place for place in listed if hostnames.same(place.host, identity)), None)


def _route(route: Endpoint, user: str, password: Secret | None) -> Value:
    """A route with the cluster's login, or with its own when the peer was written with one."""
    login_user, login_password = (route.user, route.password) if route.user else (user, password)
    place = hostnames.url_authority(route.host, route.port)
    if not login_user or login_password is None:
        return f"nats://{place}"
    user_part, password_part = quote(login_user, safe=""), quote(login_password.reveal(), safe="")
    return Secret(f"nats://{user_part}:{password_part}@{place}", shown=f"nats://{user_part}:{MASK}@{place}")


def _gateway(settings: Settings) -> Block:
    gateway = settings.network.gateway
    if not gateway.enabled:
        return {}
    secured = settings.tls.everywhere and gateway.tls
    block: Block = {
        "name": gateway.name,
        "host": settings.network.listen_address,
        "port": gateway.port,
        "reject_unknown_cluster": True,
    }
    if own := _known_as(settings.identity, gateway.own_urls):
        block["advertise"] = own.authority
    if secured:
        block["tls"] = _link_tls(settings, named=gateway.known_by_name)
    block["gateways"] = [_gateway_remote(settings, remote, secured=secured) for remote in gateway.remotes]
    return block | _link_deadline(settings)


def _gateway_remote(settings: Settings, remote: GatewayRemote, *, secured: bool) -> Block:
    block: Block = {"name": remote.name, "urls": [str(url) for url in remote.urls]}
    if tls := _remote_tls(settings, remote.tls, inherited=secured and remote.name != settings.network.gateway.name):
        block["tls"] = tls
    return block


def _remote_tls(settings: Settings, remote: RemoteTls, *, inherited: bool) -> Block:
    """TLS of an outgoing link: disabled, of its own files only, or the broker's."""
    if remote.disabled:
        return {}
    block: Block = {}
    if remote.custom:
        if remote.certificate and remote.key:
            block |= {"cert_file": str(remote.certificate), "key_file": _key_file(settings, remote.key)}
        if remote.ca:
            block["ca_file"] = str(remote.ca)
        block["timeout"] = _seconds(settings.tls.handshake_timeout)
    elif inherited:
        block = _identity_tls(settings)
    else:
        return {}
    if not remote.verify or (not remote.custom and "ca_file" not in block):
        block["insecure"] = True
    return block


def _leafnodes(settings: Settings) -> Block:
    leafnodes = settings.network.leafnodes
    if not leafnodes.port and not leafnodes.remotes:
        return {}
    block: Block = {}
    if leafnodes.port:
        # Not no_advertise: a leafnode of an older version, go-choria's too, takes a listener that tells no address for
        # the wrong port.
        block |= {
            "host": settings.network.listen_address,
            "port": leafnodes.port,
            "authorization": {"timeout": LEAFNODE_AUTH_TIMEOUT},
        }
        if advertise := _leafnode_advertise(settings):
            block["advertise"] = advertise
        if settings.tls.everywhere:
            block["tls"] = _listener_tls(settings)
    block["remotes"] = [_leafnode_remote(settings, remote) for remote in leafnodes.remotes]
    return block | _link_deadline(settings)


def _leafnode_advertise(settings: Settings) -> str:
    """The public host with the leafnode port; a public URL without a port stands as it is."""
    public = settings.network.public_url
    host, colon, port = public.rpartition(":")
    has_port = bool(colon) and port.isdecimal() and (host.endswith("]") or ":" not in host)
    return f"{host}:{settings.network.leafnodes.port}" if has_port else public


def _leafnode_remote(settings: Settings, remote: LeafnodeRemote) -> Block:
    block: Block = {"urls": [str(url) for url in remote.urls], "account": remote.account, "first_info_timeout": "2s"}
    if remote.credentials:
        block["credentials"] = str(remote.credentials)
    if tls := _remote_tls(settings, remote.tls, inherited=settings.tls.everywhere):
        block["tls"] = tls
    return block


def _websocket(settings: Settings) -> Block:
    websocket = settings.network.websocket
    if not websocket.port:
        return {}
    block: Block = {
        "host": settings.network.listen_address,
        "port": websocket.port,
        # An unfinished message that is compressed would be kept in memory, from strangers too.
        "compression": False,
        "handshake_timeout": "2s",
    }
    if websocket.advertise:
        block["advertise"] = websocket.advertise
    if settings.tls.everywhere:
        tls = _listener_tls(settings)
        del tls["timeout"]
        block["tls"] = tls
    else:
        block["no_tls"] = True
    return block


def _jetstream(settings: Settings) -> Block:
    """JetStream; programs made for older servers send fields that a strict one refuses."""
    streams = settings.network.streams
    if not streams.store:
        return {}
    block: Block = {"store_dir": str(streams.store), "strict": False}
    if streams.sync is not None:
        block["sync_interval"] = durations.in_one_unit(streams.sync) if streams.sync else "always"
    return block


def _operator(operator: Operator) -> Block:
    """The operator and its accounts by their public keys; their tokens are no secrets, and no reading for people."""
    accounts: Block = {account.key: _token(account.token, account.name) for account in operator.accounts}
    block: Block = {"operator": _token(operator.token, operator.name), "resolver": "MEMORY"}
    if operator.system:
        block["system_account"] = operator.system.key
    return block | {"resolver_preload": accounts}


def _token(token: str, name: str) -> Secret:
    return Secret(token, shown=f"token of {name}")


def _accounts(settings: Settings) -> Block:
    network = settings.network
    choria: Block = {}
    if network.streams.store:
        choria["jetstream"] = "enabled"
    if network.mappings:
        choria["mappings"] = {mapping.source: mapping.destination for mapping in network.mappings}
    accounts: Block = {"system": {}, "choria": choria}
    if network.provisioning.enabled:
        choria["imports"] = [{"stream": {"account": "provisioning", "subject": _LIFECYCLE}}]
        choria["exports"] = [
            {"service": subject, "response": "single", "accounts": ["provisioning"]}
            for subject in (_ELECTION_LOOKUP, _ELECTION_KEY)
        ]
        accounts["provisioning"] = _provisioning_account()
    for name in settings.account_names:
        streams = network.streams.store is not None and name in settings.stream_account_names
        accounts.setdefault(name, {"jetstream": "enabled"} if streams else {})
    return accounts


def _provisioning_account() -> Block:
    """Provisioning nodes show their life cycle to the fleet and may hold the one election there is."""

    def service(subject: str, to: str) -> Block:
        return {"service": {"account": "choria", "subject": subject}, "to": to}

    return {
        "exports": [{"stream": _LIFECYCLE, "accounts": ["choria"]}],
        "imports": [
            service(_ELECTION_LOOKUP, "choria.streams.STREAM.INFO.KV_CHORIA_LEADER_ELECTION"),
            service(_ELECTION_KEY, _ELECTION_KEY),
            service(_ELECTION_KEY, f"choria.streams.{_ELECTION_KEY}"),
        ],
    }


def _seconds(value: float) -> Value:
    """Whole seconds as a number, others as a duration text; nats-server reads both."""
    return int(value) if value == int(value) else durations.in_one_unit(value)
