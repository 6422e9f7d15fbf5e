"""Links between equal brokers: the cluster and gateways."""

from __future__ import annotations

from choria_broker.config.collector import Subject
from choria_broker.config.context import Context, network_key
from choria_broker.config.endpoints import gateway_urls, named, parse_endpoint
from choria_broker.config.remotes import CHORIA_CA, Remote, report_dropped_parts, without_ca
from choria_broker.config.secret import Secret
from choria_broker.config.settings import Cluster, Endpoint, Gateway, GatewayRemote, Tls
from choria_broker.config.table import DEFAULT_PEER_PORT
from choria_broker.config.values import BadValueError

MOST_PEERS = 5
"""Members of a cluster, and copies of a stream, that are supported."""

_PEERS = network_key("peers")
_SRV_DOMAIN = "plugin.choria.srv_domain"
_BY_SETTING = "setting"
_HASHED = ("$2a$", "$2b$", "$2x$", "$2y$")
_OPEN_EFFECT = "such a program sees everything and can send anything to the fleet"
_PEER_REMEDY = (
    "set plugin.choria.network.peer_user and peer_password on every member, or list the peers by the names in their "
    "certificates"
)
_CLEAR_TEXT_REMEDY = (
    "set plugin.choria.network.peer_user and peer_password where no go-choria broker is a member, and let a firewall "
    "close the port to others"
)
_GATEWAY_REMEDY = (
    "list the other brokers by the names in their certificates, and let a firewall close the port to others"
)


def resolve_cluster(context: Context, tls: Tls) -> Cluster:
    """Decide who the peers are, DNS first, and which of them to connect to.

    Args:
        context: inputs.
        tls: how the broker uses TLS.
    """
    values, collector = context.values, context.collector
    peers, source = _peers(context)
    user, password = _login(context)
    tls_key = network_key("peer_tls")
    secured = values.flag(tls_key)
    if not peers:
        return Cluster(user=user, password=password, tls=secured)
    port = values.number(network_key("peer_port")) or DEFAULT_PEER_PORT
    if len(peers) > MOST_PEERS:
        problem = f"{len(peers)} peers, where {MOST_PEERS} are supported"
        effect = f"streams have {MOST_PEERS} copies at most"
        collector.warn("many-peers", problem, effect, "join further brokers with gateways", values.subject(_PEERS))
    if secured:
        _refuse_without_ca(context, tls, "peers", tls_key, values.subject(_PEERS))
    elif not context.overrides.disable_tls:
        collector.warn(
            "clear-text-cluster",
            "traffic between peers is not encrypted",
            "the cluster can include go-choria brokers",
            "set it to true once every member runs this broker",
            values.subject(tls_key),
        )
    at = values.subject(_PEERS) if source == _BY_SETTING else _srv_subject(context)
    routes = tuple(peer for peer in peers if not _is_self(context, peer, port, at))
    if not user:
        _warn_of_open_peer_port(context, routes, secured=secured)
    return Cluster(peers, routes, port, user, password, secured, source)


def _warn_of_open_peer_port(context: Context, routes: tuple[Endpoint, ...], *, secured: bool) -> None:
    """Warn when nothing tells the brokers that may join from others: neither a login nor names to compare."""
    if not secured or not named(routes):
        problem = f"{_whoever(secured=secured)} can join the cluster"
        remedy = _PEER_REMEDY if secured else _CLEAR_TEXT_REMEDY
        context.collector.warn("open-peer-port", problem, _OPEN_EFFECT, remedy, context.values.subject(_PEERS))


def _warn_of_open_gateway_port(context: Context, gateway: Gateway) -> None:
    """Warn when there are no names to tell the brokers that may join from others."""
    urls = gateway_urls(gateway)
    if not gateway.tls or (urls and not named(urls)):
        problem = f"{_whoever(secured=gateway.tls)} can join as a gateway"
        at = context.values.subject(network_key("gateway_remotes"))
        context.collector.warn("open-gateway-port", problem, _OPEN_EFFECT, _GATEWAY_REMEDY, at)


def _whoever(*, secured: bool) -> str:
    return "whoever has a certificate of the CA" if secured else "whoever reaches the port"


def _refuse_without_ca(context: Context, tls: Tls, who: str, tls_key: str, at: Subject) -> None:
    """Refuse links that verify certificates on both sides when there is no CA to verify them with."""
    if without_ca(tls):
        problem = f"{who} verify each other's certificates, and there is no CA to do that with"
        remedy = f"set {CHORIA_CA}, or {tls_key} = false for clear text"
        context.collector.refuse("links-without-ca", problem, remedy, at)


def _peers(context: Context) -> tuple[tuple[Endpoint, ...], str]:
    facts, collector = context.facts, context.collector
    configured = _configured_peers(context)
    srv = facts.srv
    if facts.no_domain:
        problem = "no domain to look for SRV records in"
        remedy = "set plugin.choria.srv_domain, or plugin.choria.use_srv = false"
        effect = "peers come from the configuration alone"
        collector.info("no-srv-domain", problem, effect, remedy, _srv_subject(context))
    if srv and srv.problem:
        effect = "peers come from the configuration alone"
        remedy = "set plugin.choria.use_srv = false if there are no SRV records"
        note = collector.warn if srv.failed else collector.info
        problem = f"SRV lookup for {srv.record} failed: {srv.problem}"
        note("srv-lookup-failed", problem, effect, remedy, _srv_subject(context))
    if not srv or not srv.targets:
        return configured, _BY_SETTING if configured else ""
    # Sorted, so that the random order of equal records does not look like a change at reload.
    found = tuple(Endpoint("nats", host, port) for host, port in sorted(set(srv.targets)))
    places = {(peer.host.lower(), peer.port) for peer in found}
    effect = f"the peers are {', '.join(peer.authority for peer in found)}"
    if configured and places != {(peer.host.lower(), peer.port) for peer in configured}:
        problem, effect = f"the SRV record {srv.record} names other peers", f"{effect}; {_PEERS} is ignored"
        remedy = f"correct the record, remove {_PEERS}, or set plugin.choria.use_srv = false"
        collector.warn("srv-overrides-peers", problem, effect, remedy, context.values.subject(_PEERS))
    else:
        problem = f"found the SRV record {srv.record}"
        collector.info("srv-peers", problem, effect, "nothing to do", _srv_subject(context))
    return found, srv.record


def _srv_subject(context: Context) -> Subject:
    """Return the setting that has DNS asked: where to look when it was written, else whether to look at all."""
    values = context.values
    return values.subject(_SRV_DOMAIN if values.given(_SRV_DOMAIN) else "plugin.choria.use_srv")


def _configured_peers(context: Context) -> tuple[Endpoint, ...]:
    values, collector = context.values, context.collector
    peers: dict[Endpoint, None] = {}
    bad = False
    for text in values.items(_PEERS):
        at = values.subject(_PEERS, text)
        try:
            parsed = parse_endpoint(text)
        except BadValueError as error:
            effect = "the peers are ignored and the broker runs alone"
            collector.refuse("bad-peer", error.problem, error.remedy, at, lenient=effect)
            bad = True
            continue
        report_dropped_parts(context, _PEERS, text, parsed, login_kept=True)
        if parsed.endpoint in peers:
            problem = f"peer {parsed.endpoint.authority} is in the list twice"
            collector.warn("repeated-item", problem, "it counts once", "remove the repeat", at)
        peers[parsed.endpoint] = None
    return () if bad else tuple(peers)


def _is_self(context: Context, peer: Endpoint, port: int, at: Subject) -> bool:
    if peer.host.lower() == context.identity.lower():
        return True
    addresses = context.facts.addresses.get(peer.host, ())
    if not addresses:
        problem = f"peer {peer.authority} cannot be resolved"
        remedy = "check its name in DNS or in the hosts file"
        context.collector.info("peer-unresolvable", problem, "the engine keeps trying", remedy, at)
    return peer.port == port and any(address in context.facts.local_addresses for address in addresses)


def _login(context: Context) -> tuple[str, Secret | None]:
    user_key, password_key = network_key("peer_user"), network_key("peer_password")
    user, password = context.values.text(user_key), context.values.text(password_key)
    if bool(user) != bool(password):
        have, lack = (user_key, password_key) if user else (password_key, user_key)
        problem = f"{lack} is not set"
        remedy = f"set both, or neither, on every member of the cluster; add {lack}"
        context.collector.refuse("half-login", problem, remedy, context.values.subject(have))
        return "", None
    if password.startswith(_HASHED):
        problem = "looks like a bcrypt hash, which members compare with a password, and none would be let in"
        context.collector.refuse("half-login", problem, "write another password", context.values.subject(password_key))
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
    name, port, secured = values.text(name_key), values.number(port_key), values.flag(tls_key)
    if any(character.isspace() for character in name):
        problem = "the name of a cluster cannot contain blanks"
        collector.refuse("bad-value", problem, "write a name without blanks", values.subject(name_key))
    names = context.distinct(list_key)
    if bool(port) != bool(names):
        have, lack = (port_key, list_key) if port else (list_key, port_key)
        problem, effect = f"{lack} is not set", "there are no gateways"
        collector.warn("half-gateway", problem, effect, "set both, or neither", values.subject(have))
        return Gateway(name, tls=secured)
    remotes = tuple(remote for remote in (_gateway_remote(context, each) for each in names) if remote)
    if remotes and secured:
        _refuse_without_ca(context, tls, "gateways", tls_key, values.subject(list_key))
    elif remotes and not context.overrides.disable_tls:
        problem, effect = "gateway traffic is not encrypted", "go-choria brokers can be reached"
        remedy = "set it to true once every cluster runs this broker"
        collector.warn("clear-text-gateway", problem, effect, remedy, values.subject(tls_key))
    gateway = Gateway(name, port, remotes, secured)
    if remotes:
        _warn_of_open_gateway_port(context, gateway)
    return gateway


def _gateway_remote(context: Context, name: str) -> GatewayRemote | None:
    prefix = network_key(f"gateway_remote.{name}.")
    remote = Remote(context, prefix, f"gateway remote {name}", "gateway_remotes")
    urls = remote.urls("urls", "nats")
    tls = remote.tls(urls) if urls else None
    return GatewayRemote(name, urls, tls) if tls else None
