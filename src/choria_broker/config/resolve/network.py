"""The network broker: listeners, limits, allow-list, accounts, provisioning, streams, mappings."""

from __future__ import annotations

from choria_broker.config.resolve.accounts import (
    check_organizations,
    resolve_accounts,
    resolve_unverified_account,
)
from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.leafnodes import resolve_leafnodes
from choria_broker.config.resolve.links import resolve_cluster, resolve_gateway
from choria_broker.config.resolve.listeners import resolve_listen_address
from choria_broker.config.resolve.mappings import resolve_mappings
from choria_broker.config.resolve.operator import check_operator_streams, resolve_operator
from choria_broker.config.resolve.plain import check_bounds, plain
from choria_broker.config.resolve.revocation import resolve_revocation
from choria_broker.config.resolve.security import check_client_anon_tls, check_signer, resolve_signers
from choria_broker.config.resolve.streams import resolve_streams
from choria_broker.config.resolve.websocket import resolve_websocket
from choria_broker.config.text.addresses import advertised, network
from choria_broker.config.text.values import BadValueError
from choria_broker.settings.accounts import account_names
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.network import NETWORK, IPNetwork, Network, Provisioning, SystemUser
from choria_broker.settings.secret import Secret
from choria_broker.settings.security import Security
from choria_broker.settings.tls import Tls

_NEED_TLS = (
    "client_signer_cert",
    "server_signer_cert",
    "provisioning.signer_cert",
    "provisioning.client_password",
    "provisioning.provisioner_without_token",
    "client_anon_tls",
    "crl",
)
_FORCED_STOP = 10.0
"""Seconds for an orderly stop when the setting is 0 or less."""
_SYSTEM_USER, _SYSTEM_PASSWORD = network_key("system.user"), network_key("system.password")
_SIGNER, _PASSWORD = network_key("provisioning.signer_cert"), network_key("provisioning.client_password")

_TOKEN_SIGNERS = (
    "plugin.security.issuer.names",
    network_key("client_signer_cert"),
    network_key("server_signer_cert"),
    "plugin.choria.security.request_signing_certificate",
    "plugin.security.choria.trusted_signers",
)


def resolve_network(context: Context, tls: Tls, security: Security) -> Network:
    """Decide everything about the network broker.

    Args:
        context: inputs.
        tls: how TLS is used.
        security: who is trusted.
    """
    # A bad issuer makes an issuer network too, else its remarks would be those of another kind of network.
    issuers = bool(context.values.items("plugin.security.issuer.names"))
    _report_without_tls(context, tls)
    check_bounds(context, NETWORK)
    client_signers, server_signers = resolve_signers(context, tls=tls.enabled)
    check_client_anon_tls(context, signed=issuers or bool(client_signers))
    provisioning = _provisioning(context, tls=tls.enabled, issuers=issuers)
    accounts, organizations = resolve_accounts(context), security.accounts
    cluster, gateway = resolve_cluster(context, tls), resolve_gateway(context, tls)
    operator = resolve_operator(context)
    local = account_names(accounts, organizations, provisioning=provisioning.enabled)
    leafnodes = resolve_leafnodes(context, tls, local, operator)
    streams = resolve_streams(context, cluster, gateway, leafnodes)
    if operator:
        check_operator_streams(context, operator, streams)
    system_user = _system_user(context)
    check_organizations(context, tls, security.issuers, provisioning, system_user)
    if streams.store:
        signed = issuers or bool(client_signers or server_signers)
        _warn_of_way_around(context, pubsub_only=issuers and security.choria_ca, tokens=signed and operator is None)
    return Network(
        **plain(context, Network),
        listen_address=resolve_listen_address(context),
        public_url=_public_url(context),
        client_hosts=_client_hosts(context),
        client_signers=client_signers,
        server_signers=server_signers,
        provisioning=provisioning,
        system_user=system_user,
        cluster=cluster,
        gateway=gateway,
        leafnodes=leafnodes,
        websocket=resolve_websocket(context),
        mappings=() if operator else resolve_mappings(context),
        streams=streams,
        accounts=accounts,
        unverified_account=resolve_unverified_account(context, tls, accounts, organizations, leafnodes.remotes),
        operator=operator,
        revocation=resolve_revocation(context, tls),
        soft_shutdown_timeout=soft_shutdown(context),
    )


def soft_shutdown(context: Context) -> float:
    """Return the seconds for an orderly stop."""
    seconds = context.values.number(network_key("soft_shutdown_timeout"))
    return float(seconds) if seconds > 0 else _FORCED_STOP


def _report_without_tls(context: Context, tls: Tls) -> None:
    if tls.enabled:
        return
    for key in map(network_key, _NEED_TLS):
        if context.values.given(key):
            effect = "it is ignored"
            at = context.values.ref(key)
            context.collector.warn(
                Code.NEEDS_TLS,
                problem="needs TLS on the client port, which is off",
                effect=effect,
                at=at,
            )


def _public_url(context: Context) -> str:
    key, alias = network_key("public_url"), network_key("client_advertise_name")
    if context.values.given(alias):
        used = not context.values.given(key)
        effect = "it is used" if used else "it is ignored"
        at = context.values.ref(alias)
        context.collector.warn(
            Code.ALIAS_KEY, problem=f"an older name of {key}", effect=effect, remedy=f"write {key}", at=at
        )
        key = alias if used else key
    return context.parse(key, lambda text: advertised(text, port_required=False), "")


def _client_hosts(context: Context) -> tuple[IPNetwork, ...]:
    key, found = network_key("client_hosts"), []
    for text in context.values.items(key):
        try:
            found.append(network(text))
        except BadValueError as error:
            at = context.values.ref(key, text)
            context.collector.refuse(Code.BAD_CLIENT_HOST, problem=error.problem, remedy=error.remedy, at=at)
    return tuple(found)


def _system_user(context: Context) -> SystemUser | None:
    values = context.values
    user, password = values.text(_SYSTEM_USER), values.text(_SYSTEM_PASSWORD)
    if user == "provisioner":
        problem, effect = "the user name of the provisioner", "nobody can log in to the system account"
        context.collector.warn(
            Code.USER_CLASH,
            problem=problem,
            effect=effect,
            at=values.ref(_SYSTEM_USER),
        )
    if bool(user) != bool(password):
        have, lack = (_SYSTEM_USER, _SYSTEM_PASSWORD) if user else (_SYSTEM_PASSWORD, _SYSTEM_USER)
        problem, remedy = f"{lack} is not set", "set both, or neither"
        effect = "every login to the system account fails"
        context.collector.refuse(Code.HALF_LOGIN, problem=problem, remedy=remedy, at=values.ref(have), lenient=effect)
        return None
    return SystemUser(user=user, password=Secret(password)) if user else None


def _provisioning(context: Context, *, tls: bool, issuers: bool) -> Provisioning:
    values, collector = context.values, context.collector
    made = Provisioning(**plain(context, Provisioning))
    without_key = network_key("provisioning.provisioner_without_token")
    if made.signer and not made.enabled:
        problem, effect = f"{_PASSWORD} is not set", "nodes with provisioning tokens are refused"
        collector.warn(
            Code.HALF_PROVISIONING,
            problem=problem,
            effect=effect,
            remedy=f"set {_PASSWORD}",
            at=values.ref(_SIGNER),
        )
    if made.enabled and not made.signer and not issuers:
        problem, effect = (
            f"{_SIGNER} is not set",
            "only the provisioner can log in, nodes waiting for provisioning are refused",
        )
        collector.warn(
            Code.HALF_PROVISIONING,
            problem=problem,
            effect=effect,
            remedy=f"set {_SIGNER}",
            at=values.ref(_PASSWORD),
        )
    if made.provisioner_without_token and not issuers:
        problem, effect, remedy = "only networks with issuers use it", "it has no effect", "remove it"
        collector.info(Code.NO_EFFECT, problem=problem, effect=effect, remedy=remedy, at=values.ref(without_key))
    if made.signer and tls:
        check_signer(context, _SIGNER, str(made.signer))
    return made


def _warn_of_way_around(context: Context, *, pubsub_only: bool, tokens: bool) -> None:
    """Warn where Streams reach what permissions deny: who may use their API can have a stream fetch and send it.

    Args:
        context: inputs.
        pubsub_only: certificates without a token give everything but Choria's own traffic.
        tokens: tokens of clients or servers count.
    """
    hosts = network_key("client_hosts")
    # What has tokens count has several spellings.
    signers = next(filter(context.values.given, _TOKEN_SIGNERS), _TOKEN_SIGNERS[0])
    trust = "trust these hosts with the whole fleet, or run Streams on brokers that they cannot reach"
    for limited, key, who, remedy in (
        (pubsub_only, "plugin.security.choria.ca", "certificates without a token", trust),
        (bool(context.values.items(hosts)), hosts, "hosts outside this list", trust),
        (
            tokens,
            signers,
            "tokens with streams_user, streams_admin or, for servers, streams",
            "give these permissions only to people whom you trust, or run Streams on other brokers",
        ),
    ):
        if limited:
            context.collector.warn(
                Code.STREAMS_AROUND_LIMITS,
                problem=f"Choria Streams are on, and {who} may use their API",
                effect=(
                    "a stream can read fleet requests for them and send messages that they may not publish themselves"
                ),
                remedy=remedy,
                at=context.values.ref(key),
            )
