"""Leafnodes: the listener, and the brokers that this one joins."""

from __future__ import annotations

from pathlib import Path

from choria_broker.config.context import Context, network_key
from choria_broker.config.remotes import CHORIA_CA, Remote, without_ca
from choria_broker.config.settings import Endpoint, LeafnodeRemote, Leafnodes, Operator, RemoteTls, Tls
from choria_broker.security.credentials import CredentialsProblem, inspect_credentials

_NAMES = network_key("leafnode_remotes")
_CLUSTER = network_key("gateway_name")


def resolve_leafnodes(
    context: Context, tls: Tls, accounts: tuple[str, ...], operator: Operator | None = None
) -> Leafnodes:
    """Decide on the leafnode listener and remotes.

    Args:
        context: inputs.
        tls: how the broker uses TLS.
        accounts: names of all local accounts.
        operator: whose accounts are the local ones instead, if there is one.
    """
    port_key = network_key("leafnode_port")
    port = context.values.number(port_key)
    if port and not operator and not (tls.everywhere and tls.verify_clients):
        problem, effect = "leafnodes log in with certificates, which are not asked for", "no leafnode can join"
        remedy = "set up TLS with a CA and verification, or remove it"
        context.collector.warn(
            "leafnodes-without-certificates", problem, effect, remedy, context.values.subject(port_key)
        )
    remotes: list[LeafnodeRemote] = []
    for name in context.distinct(_NAMES):
        remote = _leafnode_remote(context, name, tls, operator or accounts, remotes)
        if remote:
            remotes.append(remote)
    if remotes and not context.values.given(_CLUSTER):
        _warn_of_common_name(context)
    return Leafnodes(port, tuple(remotes))


def _warn_of_common_name(context: Context) -> None:
    name = context.values.text(_CLUSTER)
    context.collector.warn(
        "common-cluster-name",
        f"{_CLUSTER} is not set, so the cluster of this broker is called {name}, as others are",
        "a broker whose cluster has the same name refuses this leafnode, and leafnodes that share one do not reach "
        "each other",
        f"set {_CLUSTER} to a name of this site's own",
        context.values.subject(_NAMES),
    )


def _leafnode_remote(
    context: Context, name: str, broker_tls: Tls, accounts: tuple[str, ...] | Operator, others: list[LeafnodeRemote]
) -> LeafnodeRemote | None:
    values = context.values
    prefix = network_key(f"leafnode_remote.{name}.")
    remote = Remote(context, prefix, f"leafnode remote {name}", "leafnode_remotes")
    urls = _urls(remote)
    account = _account(remote, accounts) if urls else ""
    if not account:
        return None
    key = _credentials_key(context, prefix)
    credentials = values.path(key)
    if _joined_already(remote, (urls, account, credentials), others):
        return None
    if credentials and not _usable(remote, key, credentials):
        return None
    tls = remote.tls(urls)
    if tls is None:
        return None
    _warn_about_tls(remote, urls, tls, broker_tls)
    return LeafnodeRemote(name, urls, account, credentials, tls)


def _urls(remote: Remote) -> tuple[Endpoint, ...]:
    """Return the addresses, empty when the engine could not use them together."""
    urls = remote.urls("url", "nats-leaf")
    if len({url.scheme.startswith("ws") for url in urls}) > 1:
        problem, remedy = "websocket and plain addresses in one remote", "make two remotes of them"
        remote.skip("mixed-urls", problem, remedy, remote.context.values.subject(remote.prefix + "url"))
        return ()
    return urls


def _account(remote: Remote, accounts: tuple[str, ...] | Operator) -> str:
    """Return the account as the engine knows it, empty when there is no such account."""
    values, key = remote.context.values, remote.prefix + "account"
    if isinstance(accounts, Operator):
        text = values.text(key) if values.given(key) else ""
        account = accounts.account(text) if text else accounts.choria
        found = account.key if account else ""
        remedy = "write the name or public key of one of the operator's accounts"
    else:
        text = values.text(key)
        remedy = f"write one of {', '.join(accounts)}, or declare it in {network_key('accounts')}"
        found = text if text in accounts else ""
    if not found:
        at = values.subject(key) if text else values.absent(key, _NAMES)
        remote.skip("unknown-account", f"there is no account {text}" if text else "no account is set", remedy, at)
    return found


def _joined_already(
    remote: Remote, link: tuple[tuple[Endpoint, ...], str, Path | None], others: list[LeafnodeRemote]
) -> bool:
    """Leave out a second way to the same place: the engine may not start, or each ends the other again and again."""
    urls, account, credentials = link
    for other in others:
        if (other.account, other.credentials) == (account, credentials) and set(other.urls) & set(urls):
            problem = f"remote {other.name} joins the same broker with the same account and credentials"
            remedy = "list all addresses of that broker and its cluster in one remote"
            remote.skip("duplicate-remote", problem, remedy, remote.context.values.subject(remote.prefix + "url"))
            return True
    return False


def _credentials_key(context: Context, prefix: str) -> str:
    """Return the key of the credentials file, in the spelling that counts."""
    values, key, other = context.values, prefix + "credentials", prefix + "credential"
    if not values.given(other):
        return key
    effect = "it is ignored" if values.given(key) else "it is used, where go-choria does not read it"
    at = values.subject(other)
    context.collector.warn("alias-key", f"another spelling of {key}", effect, "write credentials", at)
    return key if values.given(key) else other


def _usable(remote: Remote, key: str, path: Path) -> bool:
    """Tell whether a credentials file is whole; the engine would go on trying with one that is not."""
    facts, at = remote.context.facts, remote.context.values.subject(key)
    fact = facts.file(path)
    if fact.problem:
        remedy = "put the credentials file there; nsc writes such files"
        remote.skip("bad-credentials", f"{path}: {fact.problem}", remedy, at)
        return False
    found = inspect_credentials(fact.content, facts.now)
    if not isinstance(found, CredentialsProblem):
        return True
    problem = f"{path}: {found.problem}"
    if found.expired:
        effect = "the other side refuses it until the file is renewed, which needs no restart"
        remote.context.collector.warn("credentials-expired", problem, effect, found.remedy, at)
    else:
        remote.skip("bad-credentials", problem, found.remedy, at)
    return found.expired


def _warn_about_tls(remote: Remote, urls: tuple[Endpoint, ...], tls: RemoteTls, broker_tls: Tls) -> None:
    collector, at = remote.context.collector, remote.context.values.subject(remote.prefix + "url")
    if tls.verify and not (tls.custom or tls.disabled) and without_ca(broker_tls):
        problem, effect = "there is no CA to verify the other side with", "anybody can pose as that broker"
        collector.warn("remote-not-verified", problem, effect, f"set {remote.prefix}tls.ca, or {CHORIA_CA}", at)
    schemes, secured = {url.scheme for url in urls}, not tls.disabled and (tls.custom or broker_tls.everywhere)
    if "wss" in schemes and not secured:
        problem = "wss:// uses TLS, also where TLS is off"
        effect = "the CAs of this machine verify the other side, which is shown no certificate"
        collector.warn("websocket-scheme", problem, effect, "write ws:// for clear text, or leave TLS on", at)
    if "ws" in schemes and secured:
        problem, effect = "ws:// means clear text, and TLS is on for this remote", "TLS is used"
        remedy = f"write wss://, or set {remote.prefix}tls.disable = yes for clear text"
        collector.warn("websocket-scheme", problem, effect, remedy, at)
