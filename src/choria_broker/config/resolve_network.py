"""The network broker: listeners, limits, allow-list, accounts, provisioning, streams, mappings."""

from __future__ import annotations

from choria_broker.config.context import Context, network_key
from choria_broker.config.endpoints import advertised, listen_address, network, overlap
from choria_broker.config.resolve_accounts import resolve_accounts, resolve_unverified_account
from choria_broker.config.resolve_leafnodes import resolve_leafnodes
from choria_broker.config.resolve_links import resolve_cluster, resolve_gateway
from choria_broker.config.resolve_mappings import resolve_mappings
from choria_broker.config.resolve_operator import check_operator_streams, resolve_operator
from choria_broker.config.resolve_security import check_signer, resolve_client_anon_tls, resolve_signers
from choria_broker.config.resolve_streams import resolve_streams
from choria_broker.config.secret import Secret
from choria_broker.config.settings import (
    IPNetwork,
    Network,
    Provisioning,
    Security,
    Statistics,
    SystemUser,
    Tls,
    Websocket,
)
from choria_broker.config.values import BadValueError

_NEED_TLS = (
    "client_signer_cert",
    "server_signer_cert",
    "provisioning.signer_cert",
    "provisioning.client_password",
    "provisioning.provisioner_without_token",
    "client_anon_tls",
)
_LONGEST_HANDSHAKE = 60.0
_FORCED_STOP = 10.0
"""Seconds for an orderly stop when the setting is 0 or less."""
_SYSTEM_USER, _SYSTEM_PASSWORD = network_key("system.user"), network_key("system.password")
_SIGNER, _PASSWORD = network_key("provisioning.signer_cert"), network_key("provisioning.client_password")


def resolve_network(context: Context, tls: Tls, security: Security) -> Network:
    """Decide everything about the network broker.

    Args:
        context: inputs.
        tls: how TLS is used.
        security: who is trusted.
    """
    values = context.values
    # A bad issuer makes an issuer network too, else its remarks would be those of another kind of network.
    issuers = bool(values.items("plugin.security.issuer.names"))
    _report_without_tls(context, tls)
    client_signers, server_signers = resolve_signers(context, tls=tls.enabled)
    client_anon_tls = resolve_client_anon_tls(context, signed=issuers or bool(client_signers))
    provisioning = _provisioning(context, tls=tls.enabled, issuers=issuers)
    standing = ("choria", "system", *(("provisioning",) if provisioning.client_password else ()))
    accounts, organizations = resolve_accounts(context), tuple(issuer.account for issuer in security.issuers)
    cluster, gateway = resolve_cluster(context, tls), resolve_gateway(context, tls)
    operator = resolve_operator(context)
    local = tuple(dict.fromkeys((*standing, *accounts, *organizations)))
    leafnodes = resolve_leafnodes(context, tls, local, operator)
    streams = resolve_streams(context, cluster, gateway, leafnodes)
    if operator:
        check_operator_streams(context, operator, streams)
    if streams.store:
        _warn_of_way_around(context, pubsub_only=issuers and security.choria_ca)
    return Network(
        listen_address=context.parse(network_key("listen_address"), listen_address, "::"),
        client_port=values.number(network_key("client_port")),
        public_url=_public_url(context),
        write_deadline=_above_zero(context, "write_deadline"),
        tls_timeout=_handshake(context, "tls_timeout"),
        auth_timeout=_handshake(context, "auth_timeout"),
        max_connections=_max_connections(context),
        client_hosts=_client_hosts(context),
        deny_server_connections=values.flag(network_key("deny_server_connections")),
        client_signers=client_signers,
        server_signers=server_signers,
        client_anon_tls=client_anon_tls,
        provisioning=provisioning,
        system_user=_system_user(context),
        cluster=cluster,
        gateway=gateway,
        leafnodes=leafnodes,
        websocket=_websocket(context),
        mappings=() if operator else resolve_mappings(context),
        streams=streams,
        accounts=accounts,
        unverified_account=resolve_unverified_account(context, tls, accounts, organizations, leafnodes.remotes),
        operator=operator,
        pprof_port=values.number(network_key("pprof_port")),
        soft_shutdown_timeout=soft_shutdown(context),
    )


def soft_shutdown(context: Context) -> float:
    """Return the seconds for an orderly stop."""
    seconds = context.values.number(network_key("soft_shutdown_timeout"))
    return float(seconds) if seconds > 0 else _FORCED_STOP


def check_ports(context: Context, settings: Network | None, statistics: Statistics) -> None:
    """Refuse two listeners on one port. ``settings`` is None when the network broker does not run."""
    listeners: list[tuple[str, str, int]] = []
    if settings:
        ports = {
            "client_port": settings.client_port,
            "peer_port": settings.cluster.port,
            "gateway_port": settings.gateway.port,
            "leafnode_port": settings.leafnodes.port,
            "websocket_port": settings.websocket.port,
            "pprof_port": settings.pprof_port,
        }
        listeners = [(network_key(name), settings.listen_address, port) for name, port in ports.items() if port]
    if statistics.port:
        listeners.append(("plugin.choria.stats_port", statistics.address, statistics.port))
    for place, (key, address, port) in enumerate(listeners):
        for other, other_address, other_port in listeners[:place]:
            if port == other_port and overlap(address, other_address):
                # The one somebody set is easier to find than the one with a default.
                key_at = key if context.values.given(key) else other
                problem = f"{other} and {key} are both port {port}"
                remedy = "give every listener a port of its own"
                context.collector.refuse("port-clash", problem, remedy, context.values.subject(key_at))


def _report_without_tls(context: Context, tls: Tls) -> None:
    if tls.enabled:
        return
    for key in map(network_key, _NEED_TLS):
        if context.values.given(key):
            effect, remedy = "it is ignored", "start without --disable-tls"
            at = context.values.subject(key)
            context.collector.warn("needs-tls", "needs TLS on the client port, which is off", effect, remedy, at)


def _public_url(context: Context) -> str:
    key, alias = network_key("public_url"), network_key("client_advertise_name")
    if context.values.given(alias):
        used = not context.values.given(key)
        effect = "it is used" if used else "it is ignored"
        at = context.values.subject(alias)
        context.collector.warn("alias-key", f"an older name of {key}", effect, f"write {key}", at)
        key = alias if used else key
    return context.parse(key, lambda text: advertised(text, port_required=False), "")


def _websocket(context: Context) -> Websocket:
    key, port = network_key("websocket_advertise"), context.values.number(network_key("websocket_port"))
    advertise = context.parse(key, lambda text: advertised(text, port_required=True), "")
    if advertise and not port:
        problem, effect = "there is no websocket listener", "it is ignored"
        remedy = f"set {network_key('websocket_port')} too"
        context.collector.warn("no-effect", problem, effect, remedy, context.values.subject(key))
    elif advertise:
        # Members of a cluster would tell it to each other's clients, but clusters of Choria do not advertise.
        problem, effect = "brokers of Choria tell no client of addresses", "only the page /varz shows it"
        remedy = "tell websocket clients where to connect by other means"
        context.collector.info("no-effect", problem, effect, remedy, context.values.subject(key))
    return Websocket(port, advertise)


def _above_zero(context: Context, name: str) -> float:
    key = network_key(name)
    seconds = context.values.seconds(key)
    if seconds <= 0:
        context.collector.refuse("bad-value", "not above zero", "write a time above 0s", context.values.subject(key))
    return seconds


def _handshake(context: Context, name: str) -> float:
    seconds, key = _above_zero(context, name), network_key(name)
    if seconds > _LONGEST_HANDSHAKE:
        problem = "longer than 60 seconds"
        context.collector.refuse("bad-value", problem, "write 60s or less", context.values.subject(key))
    return seconds


def _max_connections(context: Context) -> int:
    key = network_key("max_connections")
    number = context.values.number(key)
    if number < 1:
        context.collector.refuse("bad-value", "not above zero", "write 1 or more", context.values.subject(key))
    return number


def _client_hosts(context: Context) -> tuple[IPNetwork, ...]:
    key, found = network_key("client_hosts"), []
    for text in context.values.items(key):
        try:
            found.append(network(text))
        except BadValueError as error:
            at = context.values.subject(key, text)
            context.collector.refuse("bad-client-host", error.problem, error.remedy, at)
    return tuple(found)


def _system_user(context: Context) -> SystemUser | None:
    values = context.values
    user, password = values.text(_SYSTEM_USER), values.text(_SYSTEM_PASSWORD)
    if user == "provisioner":
        problem, effect = "the user of provisioning", "nobody can log in to the system account"
        context.collector.warn("user-clash", problem, effect, "choose another name", values.subject(_SYSTEM_USER))
    if bool(user) != bool(password):
        have, lack = (_SYSTEM_USER, _SYSTEM_PASSWORD) if user else (_SYSTEM_PASSWORD, _SYSTEM_USER)
        problem, remedy = f"{lack} is not set", "set both, or neither"
        effect = "every login to the system account fails"
        context.collector.refuse("half-login", problem, remedy, values.subject(have), lenient=effect)
        return None
    return SystemUser(user, Secret(password)) if user else None


def _provisioning(context: Context, *, tls: bool, issuers: bool) -> Provisioning:
    values, collector = context.values, context.collector
    password, signer = values.text(_PASSWORD), values.path(_SIGNER)
    without_key = network_key("provisioning.provisioner_without_token")
    without_token = values.flag(without_key)
    if signer and not password:
        problem, effect = f"{_PASSWORD} is not set", "nodes with provisioning tokens are refused"
        collector.warn("half-provisioning", problem, effect, f"set {_PASSWORD}", values.subject(_SIGNER))
    if password and not signer and not issuers:
        problem, effect = f"{_SIGNER} is not set", "only the provisioner gets in, nodes to provision are refused"
        collector.warn("half-provisioning", problem, effect, f"set {_SIGNER}", values.subject(_PASSWORD))
    if without_token and not issuers:
        problem, effect, remedy = "only issuer networks use it", "it has no effect", "remove it"
        collector.info("no-effect", problem, effect, remedy, values.subject(without_key))
    if signer and tls:
        check_signer(context, _SIGNER, str(signer))
    return Provisioning(Secret(password) if password else None, signer, without_token)


def _warn_of_way_around(context: Context, *, pubsub_only: bool) -> None:
    """Warn where Streams reach what permissions deny: who may use their API can have a stream fetch and send it."""
    hosts = network_key("client_hosts")
    for limited, key, who in (
        (pubsub_only, "plugin.security.choria.ca", "certificates without a token"),
        (bool(context.values.items(hosts)), hosts, "hosts outside this list"),
    ):
        if limited:
            context.collector.warn(
                "streams-around-limits",
                f"Choria Streams are on, and {who} may use their API",
                "a stream can read fleet requests for them and send what they may not publish themselves",
                "trust those hosts with the fleet, or run Streams on brokers they cannot reach",
                context.values.subject(key),
            )
