"""Links between equal brokers: the cluster and gateways."""

from __future__ import annotations

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.peers import peers_subject, resolve_peers
from choria_broker.config.resolve.plain import plain
from choria_broker.config.resolve.remotes import CHORIA_CA, Remote, without_ca
from choria_broker.config.text.collector import SettingRef
from choria_broker.config.text.shown_values import shown_name
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.links import DEFAULT_PEER_PORT, Cluster, Gateway, GatewayRemote
from choria_broker.settings.secret import Secret
from choria_broker.settings.tls import Tls

MOST_PEERS = 5
"""Members of a cluster, and copies of a stream, that are supported."""

_HASHED = ("$2a$", "$2b$", "$2x$", "$2y$")
_OPEN_EFFECT = "such a program can read everything and send anything to the fleet"
_PEER_REMEDY = (
    "set plugin.choria.network.peer_user and peer_password on every member, or list the peers by the names in their "
    "certificates"
)
_CLEAR_TEXT_REMEDY = (
    "set plugin.choria.network.peer_user and peer_password unless a go-choria broker is a member, and close "
    "the port to others with a firewall"
)
_GATEWAY_REMEDY = (
    "list the other brokers by the names in their certificates, and close the port to others with a firewall"
)


def resolve_cluster(context: Context, tls: Tls) -> Cluster:
    """Decide who the peers are, DNS first, and which of them to connect to.

    Args:
        context: inputs.
        tls: how the broker uses TLS.
    """
    values, collector = context.values, context.collector
    port = values.number(network_key("peer_port")) or DEFAULT_PEER_PORT
    members = resolve_peers(context, port)
    user, password = _login(context)
    tls_key = network_key("peer_tls")
    fields = plain(context, Cluster)
    cluster = Cluster(
        **fields,
        peers=members.peers,
        routes=members.routes,
        port=port,
        user=user,
        password=password,
        source=members.source,
        left_out=members.left_out,
        itself_left_out=members.itself_left_out,
        neighbours=members.neighbours,
    )
    if not cluster.joined:
        return Cluster(**fields, user=user, password=password)
    at = peers_subject(context, cluster.source)
    if cluster.size > MOST_PEERS:
        problem = f"{cluster.size} peers; at most {MOST_PEERS} are supported"
        effect = f"streams have at most {MOST_PEERS} copies"
        collector.warn(Code.MANY_PEERS, problem=problem, effect=effect, at=at)
    if cluster.tls:
        _refuse_without_ca(context, tls, "peers", tls_key, at)
    elif not context.overrides.disable_tls:
        collector.warn(
            Code.CLEAR_TEXT_CLUSTER,
            problem="traffic between peers is not encrypted",
            effect="the cluster can include go-choria brokers",
            at=values.ref(tls_key),
        )
    if not user:
        _warn_of_open_peer_port(context, cluster)
    return cluster


def _warn_of_open_peer_port(context: Context, cluster: Cluster) -> None:
    """Warn when nothing tells the brokers that may join from others: neither a login nor names to compare."""
    if not cluster.tls or not cluster.known_by_name:
        problem = f"{_whoever(secured=cluster.tls)} can join the cluster"
        remedy = _PEER_REMEDY if cluster.tls else _CLEAR_TEXT_REMEDY
        at = peers_subject(context, cluster.source)
        context.collector.warn(Code.OPEN_PEER_PORT, problem=problem, effect=_OPEN_EFFECT, remedy=remedy, at=at)


def _warn_of_open_gateway_port(context: Context, gateway: Gateway) -> None:
    """Warn when there are no names to tell the brokers that may join from others."""
    if not gateway.tls or (gateway.urls and not gateway.known_by_name):
        problem = f"{_whoever(secured=gateway.tls)} can join as a gateway"
        at = context.values.ref(network_key("gateway_remotes"))
        context.collector.warn(
            Code.OPEN_GATEWAY_PORT, problem=problem, effect=_OPEN_EFFECT, remedy=_GATEWAY_REMEDY, at=at
        )


def _whoever(*, secured: bool) -> str:
    return "anybody with a certificate of the CA" if secured else "anybody who can reach the port"


def _refuse_without_ca(context: Context, tls: Tls, who: str, tls_key: str, at: SettingRef) -> None:
    """Refuse links that verify certificates on both sides when there is no CA to verify them with."""
    if without_ca(tls):
        problem = f"{who} verify each other's certificates, but there is no CA for that"
        remedy = f"set {CHORIA_CA}, or {tls_key} = false for clear text"
        context.collector.refuse(Code.LINKS_WITHOUT_CA, problem=problem, remedy=remedy, at=at)


def _login(context: Context) -> tuple[str, Secret | None]:
    user_key, password_key = network_key("peer_user"), network_key("peer_password")
    user, password = context.values.text(user_key), context.values.text(password_key)
    if bool(user) != bool(password):
        have, lack = (user_key, password_key) if user else (password_key, user_key)
        problem = f"{lack} is not set"
        remedy = f"set both, or neither, on every member of the cluster; add {lack}"
        context.collector.refuse(Code.HALF_LOGIN, problem=problem, remedy=remedy, at=context.values.ref(have))
        return "", None
    if password.startswith(_HASHED):
        problem = "looks like a bcrypt hash; members would compare it with a password and refuse each other"
        context.collector.refuse(
            Code.HALF_LOGIN, problem=problem, remedy="write another password", at=context.values.ref(password_key)
        )
    return user, Secret(password) if password else None


def resolve_gateway(context: Context, tls: Tls) -> Gateway:
    """Decide on gateways; the name is the cluster's name in any case.

    Args:
        context: inputs.
        tls: how the broker uses TLS.
    """
    values, collector = context.values, context.collector
    name_key, port_key, list_key, tls_key = (
        network_key(name) for name in ("gateway_name", "gateway_port", "gateway_remotes", "gateway_tls")
    )
    fields, port, secured = plain(context, Gateway), values.number(port_key), values.flag(tls_key)
    if any(character.isspace() for character in values.text(name_key)):
        problem = "the name of a cluster cannot contain spaces"
        collector.refuse(Code.BAD_VALUE, problem=problem, remedy="write a name without spaces", at=values.ref(name_key))
    names = context.distinct(list_key)
    if bool(port) != bool(names):
        have, lack = (port_key, list_key) if port else (list_key, port_key)
        problem, effect = f"{lack} is not set", "there are no gateways"
        collector.warn(Code.HALF_GATEWAY, problem=problem, effect=effect, at=values.ref(have))
        return Gateway(**fields)
    remotes = tuple(remote for remote in (_gateway_remote(context, each) for each in names) if remote)
    if remotes and secured:
        _refuse_without_ca(context, tls, "gateways", tls_key, values.ref(list_key))
    elif remotes and not context.overrides.disable_tls:
        problem, effect = "gateway traffic is not encrypted", "go-choria brokers can be reached"
        collector.warn(Code.CLEAR_TEXT_GATEWAY, problem=problem, effect=effect, at=values.ref(tls_key))
    gateway = Gateway(**fields, port=port, remotes=remotes)
    if remotes:
        _warn_of_open_gateway_port(context, gateway)
    return gateway


def _gateway_remote(context: Context, name: str) -> GatewayRemote | None:
    prefix = network_key(f"gateway_remote.{name}.")
    remote = Remote(context, prefix, f"gateway remote {shown_name(name)}", "gateway_remotes")
    urls = remote.urls("urls", "nats")
    tls = remote.tls(urls) if urls else None
    return GatewayRemote(name=name, urls=urls, tls=tls) if tls else None
