"""Whether the broker's own certificate does for what the settings want of it: links to other brokers, names in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cryptography import x509

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.peers import BY_SETTING, PEERS
from choria_broker.config.text.collector import SettingRef
from choria_broker.security.tls_files import check_host, inspect, load
from choria_broker.security.verifier import Use
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.hostnames import is_host, same
from choria_broker.settings.network import Network
from choria_broker.settings.tls import RemoteTls, Tls

_GATEWAYS = network_key("gateway_remotes")
_LEAFNODES = network_key("leafnode_remotes")


def check_certificate(context: Context, tls: Tls, network: Network) -> None:
    """Hold the broker's certificate against its links and against the names under which others connect to it.

    Args:
        context: inputs.
        tls: how TLS is used.
        network: everything else about the network broker.
    """
    if not tls.enabled or tls.files is None:
        return
    content = context.facts.file(tls.files.certificate).content
    chain = load(content)
    if not chain:
        return
    ca = context.facts.file(tls.files.ca).content if tls.files.ca else None
    links = tuple(_links(context, tls, network))
    if links:
        _check_client(context, content, ca, links)
    for host, effect, at in _places(context, tls, network):
        _check_place(context, chain[0], host, effect, at)


def _links(context: Context, tls: Tls, network: Network) -> Iterator[tuple[str, SettingRef]]:
    """Name the links on which the broker shows its own certificate as a client does."""
    ref = context.values.ref
    if not tls.everywhere:
        return
    if network.cluster.tls and network.cluster.routes:
        yield "members of the cluster", ref(PEERS)
    gateway = network.gateway
    if gateway.enabled and gateway.tls and _inheriting(remote.tls for remote in gateway.others):
        yield "brokers behind gateways", ref(_GATEWAYS)
    if _inheriting(remote.tls for remote in network.leafnodes.remotes):
        yield "brokers that it joins as a leafnode", ref(_LEAFNODES)


def _inheriting(remotes: Iterable[RemoteTls]) -> bool:
    return any(not remote.custom and not remote.disabled for remote in remotes)


def _check_client(
    context: Context, content: bytes, ca: bytes | None, links: tuple[tuple[str, SettingRef], ...]
) -> None:
    """Warn when other brokers would refuse the certificate, though clients take it."""
    now = context.facts.now
    # What nobody takes was reported with the files.
    known = {problem.code for problem in inspect(content, None, ca, now)}
    found = inspect(content, None, ca, now, use=Use.CLIENT)
    for bad in found:
        if bad.code not in known and (bad.fatal or bad.code == Code.TLS_NOT_FOR_CLIENTS):
            who = ", ".join(name for name, _ in links)
            effect = f"{who} refuse this broker when it connects to them"
            context.collector.warn(bad.code, problem=bad.problem, effect=effect, remedy=bad.remedy, at=links[0][1])
            return


def _places(context: Context, tls: Tls, network: Network) -> Iterator[tuple[str, str, SettingRef]]:
    """List the hosts under which others connect to this broker, what happens without each, and the setting."""
    values = context.values
    for name in ("public_url", "websocket_advertise"):
        told = network.public_url if name == "public_url" else network.websocket.advertise
        if told:
            yield (
                _host(told),
                "clients that use this address refuse this broker",
                values.ref(network_key(name)),
            )
    if not tls.everywhere:
        return
    cluster, gateway = network.cluster, network.gateway
    if cluster.tls and cluster.routes:
        at = values.ref(PEERS if cluster.source == BY_SETTING else "plugin.choria.srv_domain")
        effect = "members of the cluster that know it by this name refuse its certificate, in both directions"
        others = frozenset(cluster.routes)
        for own in dict.fromkeys(peer for peer in cluster.peers if peer not in others):
            yield own.host, effect, at
    if gateway.enabled and gateway.tls:
        at = values.ref(network_key(f"gateway_remote.{gateway.name}.urls"))
        effect = "brokers of other clusters that know it by this name refuse its certificate, in both directions"
        own_addresses = context.facts.local_addresses
        for url in gateway.own_urls:
            if url.host in own_addresses or any(
                each in own_addresses for each in context.facts.addresses.get(url.host, ())
            ):
                yield url.host, effect, at


def _host(authority: str) -> str:
    """Return the host of ``host`` or ``host:port``."""
    host, colon, port = authority.rpartition(":")
    bare = host if colon and port.isdecimal() else authority
    return bare.removeprefix("[").removesuffix("]")


def _check_place(context: Context, leaf: x509.Certificate, host: str, effect: str, at: SettingRef) -> None:
    # What is wrong with the identity is said once, with the files.
    if same(host, context.identity) or not is_host(host):
        return
    for bad in check_host(leaf, host, effect):
        context.collector.warn(bad.code, problem=bad.problem, effect=bad.effect, remedy=bad.remedy, at=at)
