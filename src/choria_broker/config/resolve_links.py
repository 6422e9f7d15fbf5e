"""Links to other brokers: cluster, gateways, leafnodes."""

from __future__ import annotations

import dataclasses

from choria_broker.config.collector import Subject
from choria_broker.config.context import Context, network_key
from choria_broker.config.endpoints import ParsedEndpoint, gateway_urls, named, parse_endpoint
from choria_broker.config.secret import Secret
from choria_broker.config.settings import (
    Cluster,
    Endpoint,
    Gateway,
    GatewayRemote,
    LeafnodeRemote,
    Leafnodes,
    RemoteTls,
    Tls,
)
from choria_broker.config.table import DEFAULT_PEER_PORT
from choria_broker.config.values import BadValueError
from choria_broker.security.tls_files import Part, inspect

MOST_PEERS = 5
"""Members of a cluster, and copies of a stream, that are supported."""

_PEERS = network_key("peers")
_HASHED = ("$2a$", "$2b$", "$2x$", "$2y$")
_OPEN_EFFECT = "such a program sees everything and can send anything to the fleet"
_PEER_REMEDY = (
    "set plugin.choria.network.peer_user and peer_password on every member, or list the peers by the names in their "
    "certificates"
)
_GATEWAY_REMEDY = (
    "list the other brokers by the names in their certificates, and let a firewall close the port to others"
)
_CHORIA_CA = "plugin.security.choria.ca"
_CREDENTIALS_MARKS = (b"-----BEGIN NATS USER JWT-----", b"-----BEGIN USER NKEY SEED-----")


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
    routes = tuple(peer for peer in peers if not _is_self(context, peer, port))
    if not user:
        _warn_of_open_peer_port(context, routes, secured=secured)
    return Cluster(peers, routes, port, user, password, secured, source)


def _warn_of_open_peer_port(context: Context, routes: tuple[Endpoint, ...], *, secured: bool) -> None:
    """Warn when nothing tells the brokers that may join from others: neither a login nor names to compare."""
    if not secured or (routes and not named(routes)):
        problem = f"{_whoever(secured=secured)} can join the cluster"
        context.collector.warn("open-peer-port", problem, _OPEN_EFFECT, _PEER_REMEDY, context.values.subject(_PEERS))


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
    if _without_ca(tls):
        problem = f"{who} verify each other's certificates, and there is no CA to do that with"
        remedy = f"set {_CHORIA_CA}, or {tls_key} = false for clear text"
        context.collector.refuse("links-without-ca", problem, remedy, at)


def _peers(context: Context) -> tuple[tuple[Endpoint, ...], str]:
    facts, collector = context.facts, context.collector
    configured = _configured_peers(context)
    srv = facts.srv
    if facts.no_domain:
        problem = "no domain to look for SRV records in"
        remedy = "set plugin.choria.srv_domain, or plugin.choria.use_srv = false"
        collector.info("no-srv-domain", problem, "peers come from the configuration alone", remedy)
    if srv and srv.problem:
        effect = "peers come from the configuration alone"
        remedy = "set plugin.choria.use_srv = false if there are no SRV records"
        note = collector.warn if srv.failed else collector.info
        note("srv-lookup-failed", f"SRV lookup for {srv.record} failed: {srv.problem}", effect, remedy)
    if not srv or not srv.targets:
        return configured, "setting" if configured else ""
    # Sorted, so that the random order of equal records does not look like a change at reload.
    found = tuple(Endpoint("nats", host, port) for host, port in sorted(set(srv.targets)))
    places = {(peer.host.lower(), peer.port) for peer in found}
    if configured and places != {(peer.host.lower(), peer.port) for peer in configured}:
        collector.warn(
            "srv-overrides-peers",
            f"the SRV record {srv.record} names other peers",
            f"the peers are {', '.join(peer.authority for peer in found)}; {_PEERS} is ignored",
            f"correct the record, remove {_PEERS}, or set plugin.choria.use_srv = false",
            context.values.subject(_PEERS),
        )
    return found, srv.record


def _configured_peers(context: Context) -> tuple[Endpoint, ...]:
    values, collector = context.values, context.collector
    peers: list[Endpoint] = []
    for text in values.items(_PEERS):
        try:
            parsed = parse_endpoint(text)
        except BadValueError as error:
            at = values.subject(_PEERS, text)
            effect = "the peers are ignored and the broker runs alone"
            collector.refuse("bad-peer", error.problem, error.remedy, at, lenient=effect)
            return ()
        _report_dropped_parts(context, _PEERS, text, parsed, login_kept=True)
        peers.append(parsed.endpoint)
    once = tuple(dict.fromkeys(peers))
    if len(once) != len(peers):
        problem, remedy = "a peer is in the list twice", "remove the repeat"
        collector.warn("repeated-item", problem, "it counts once", remedy, values.subject(_PEERS))
    return once


def _is_self(context: Context, peer: Endpoint, port: int) -> bool:
    if peer.host.lower() == context.identity.lower():
        return True
    addresses = context.facts.addresses.get(peer.host, ())
    if not addresses:
        problem = f"peer {peer.host} cannot be resolved"
        remedy = "check its name in DNS or in the hosts file"
        context.collector.info(
            "peer-unresolvable", problem, "the engine keeps trying", remedy, context.values.subject(_PEERS)
        )
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


def _without_ca(tls: Tls) -> bool:
    return tls.everywhere and tls.files is not None and tls.files.ca is None


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
    remote = _Remote(context, prefix, f"gateway remote {name}", "gateway_remotes")
    urls = remote.urls("urls", "nats")
    tls = remote.tls() if urls else None
    return GatewayRemote(name, urls, tls) if tls else None


def resolve_leafnodes(context: Context, tls: Tls, accounts: tuple[str, ...]) -> Leafnodes:
    """Decide on the leafnode listener and remotes.

    Args:
        context: inputs.
        tls: how the broker uses TLS.
        accounts: names of all local accounts.
    """
    port_key = network_key("leafnode_port")
    port = context.values.number(port_key)
    if port and not (tls.everywhere and tls.verify_clients):
        problem, effect = "leafnodes log in with certificates, which are not asked for", "no leafnode can join"
        remedy = "set up TLS with a CA and verification, or remove it"
        context.collector.warn(
            "leafnodes-without-certificates", problem, effect, remedy, context.values.subject(port_key)
        )
    names = context.distinct(network_key("leafnode_remotes"))
    remotes = tuple(remote for remote in (_leafnode_remote(context, each, tls, accounts) for each in names) if remote)
    return Leafnodes(port, remotes)


def _leafnode_remote(context: Context, name: str, broker_tls: Tls, accounts: tuple[str, ...]) -> LeafnodeRemote | None:
    values = context.values
    prefix = network_key(f"leafnode_remote.{name}.")
    remote = _Remote(context, prefix, f"leafnode remote {name}", "leafnode_remotes")
    urls = remote.urls("url", "nats-leaf")
    if not urls:
        return None
    if len({url.scheme.startswith("ws") for url in urls}) > 1:
        problem, remedy = "websocket and plain addresses in one remote", "make two remotes of them"
        remote.skip("mixed-urls", problem, remedy, values.subject(prefix + "url"))
        return None
    account = values.text(prefix + "account")
    if account not in accounts:
        problem = f"there is no account {account}" if account else "no account"
        remedy = f"write one of {', '.join(accounts)}, or declare it in {network_key('accounts')}"
        remote.skip("unknown-account", problem, remedy, values.subject(prefix + "account"))
        return None
    key = prefix + "credentials"
    if values.given(prefix + "credential"):
        at = values.subject(prefix + "credential")
        effect = "it is ignored" if values.given(key) else "it is used, where go-choria does not read it"
        context.collector.warn("alias-key", f"another spelling of {key}", effect, "write credentials", at)
        key = key if values.given(key) else prefix + "credential"
    credentials = values.path(key)
    if credentials:
        fact = context.facts.file(credentials)
        whole = all(mark in fact.content for mark in _CREDENTIALS_MARKS)
        problem = fact.problem or ("" if whole else "not a NATS credentials file")
        if problem:
            remedy = "put the credentials file there; nsc writes such files"
            remote.skip("bad-credentials", f"{credentials}: {problem}", remedy, values.subject(key))
            return None
    tls = remote.tls()
    if tls and tls.verify and not (tls.custom or tls.disabled) and _without_ca(broker_tls):
        problem, effect = "there is no CA to verify the other side with", "anybody can pose as that broker"
        remedy = f"set {prefix}tls.ca, or {_CHORIA_CA}"
        context.collector.warn("remote-not-verified", problem, effect, remedy, values.subject(prefix + "url"))
    return LeafnodeRemote(name, urls, account, credentials, tls) if tls else None


@dataclasses.dataclass(frozen=True, slots=True)
class _Remote:
    """What gateway and leafnode remotes have in common: addresses and TLS."""

    context: Context
    prefix: str
    title: str
    listed: str

    def skip(self, code: str, problem: str, remedy: str, at: Subject) -> None:
        """Leave this remote out."""
        self.context.collector.skip(code, problem, f"{self.title} is left out", remedy, at)

    def urls(self, name: str, scheme: str) -> tuple[Endpoint, ...]:
        """Return the addresses, empty when the remote cannot be used."""
        key, values = self.prefix + name, self.context.values
        texts = values.items(key)
        if not texts:
            at = values.absent(key, network_key(self.listed))
            self.skip("remote-without-url", "not set", f"set {key} to host:port", at)
        found = []
        for text in texts:
            try:
                parsed = parse_endpoint(text, scheme)
            except BadValueError as error:
                self.skip("bad-url", error.problem, error.remedy, values.subject(key, text))
                return ()
            _report_dropped_parts(self.context, key, text, parsed)
            found.append(dataclasses.replace(parsed.endpoint, user="", password=None))
        return tuple(dict.fromkeys(found))

    def tls(self) -> RemoteTls | None:
        """Return how TLS is used, None when own files cannot be used."""
        values = self.context.values
        disabled = values.flag(self.prefix + "tls.disable")
        tls = RemoteTls(
            values.path(self.prefix + "tls.cert"),
            values.path(self.prefix + "tls.key"),
            values.path(self.prefix + "tls.ca"),
            values.flag(self.prefix + "tls.verify"),
            disabled,
        )
        if not self._usable(tls):
            return None
        if disabled:
            self._warn("remote-clear-text", "TLS is off for this remote", "its traffic can be read", "tls.disable")
        elif not tls.verify:
            problem = "the certificate of the other side is not verified"
            self._warn("remote-not-verified", problem, "anybody can pose as that broker", "tls.verify")
        return tls

    def _warn(self, code: str, problem: str, effect: str, name: str) -> None:
        at = self.context.values.subject(self.prefix + name)
        self.context.collector.warn(code, problem, effect, "remove the setting", at)

    def _usable(self, tls: RemoteTls) -> bool:
        facts, values = self.context.facts, self.context.values
        paths = {Part.CERTIFICATE: tls.certificate, Part.KEY: tls.key, Part.CA: tls.ca}
        keys = {Part.CERTIFICATE: "tls.cert", Part.KEY: "tls.key", Part.CA: "tls.ca"}
        if (tls.certificate is None) != (tls.key is None):
            have, lack = (Part.CERTIFICATE, Part.KEY) if tls.certificate else (Part.KEY, Part.CERTIFICATE)
            problem, remedy = f"{keys[lack]} is not set", "set tls.cert and tls.key, or neither"
            self.skip("remote-half-identity", problem, remedy, values.subject(self.prefix + keys[have]))
            return False
        content: dict[Part, bytes] = {}
        for part, path in paths.items():
            if path is None:
                continue
            fact = facts.file(path)
            if fact.problem:
                at = values.subject(self.prefix + keys[part])
                self.skip("remote-file-missing", f"{path}: {fact.problem}", "put the file there", at)
                return False
            content[part] = fact.content
        # Only the broker's own CA must have issued its certificate; the other side's CA is another matter.
        found = inspect(content.get(Part.CERTIFICATE), content.get(Part.KEY), None, facts.now)
        found += inspect(None, None, content.get(Part.CA), facts.now)
        for bad in found:
            at, problem = values.subject(self.prefix + keys[bad.part]), f"{paths[bad.part]}: {bad.problem}"
            if bad.fatal and not bad.overdue:
                self.skip(bad.code, problem, bad.remedy, at)
                return False
            effect = "the other side will refuse it" if bad.fatal else "the remote is used"
            self.context.collector.warn(bad.code, problem, effect, bad.remedy, at)
        return True


def _report_dropped_parts(
    context: Context, key: str, text: str, parsed: ParsedEndpoint, *, login_kept: bool = False
) -> None:
    at = context.values.subject(key, text)
    if parsed.extra:
        problem, remedy = "a path in an address", "write host and port only"
        context.collector.warn("address-path", problem, "the path is left out", remedy, at)
    if parsed.endpoint.user and not login_kept:
        problem, remedy = "a login in an address", "remove it from the address"
        context.collector.warn("address-login", problem, "the login is left out", remedy, at)
