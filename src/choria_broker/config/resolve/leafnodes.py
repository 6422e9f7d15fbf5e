"""Leafnodes: the listener, and the brokers that this one joins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.plain import plain
from choria_broker.config.resolve.remotes import CHORIA_CA, Remote, without_ca
from choria_broker.config.text.shown_values import shown_file, shown_name
from choria_broker.security.credentials import CredentialsProblem, inspect_credentials
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.links import LeafnodeRemote, Leafnodes
from choria_broker.settings.operator import Operator
from choria_broker.settings.tls import RemoteTls, Tls

_NAMES = network_key("leafnode_remotes")
_CLUSTER = network_key("gateway_name")
_SHOWN_ACCOUNTS = 10

_Link = tuple[Endpoint, str, Path | None]
"""What two remotes must not have in common: an address, the account and the credentials."""


class _Accounts(msgspec.Struct, frozen=True):
    """The local accounts that a remote can be bound to.

    Attributes:
        known: account as the engine knows it, by each text that an operator may write for it.
        unset: account of a remote that names none; None where the default of the setting counts.
        remedy: what to do about an account that is not known.
    """

    known: Mapping[str, str]
    unset: str | None
    remedy: str


def _accounts(accounts: tuple[str, ...], operator: Operator | None) -> _Accounts:
    if operator is None:
        shown = ", ".join(accounts[:_SHOWN_ACCOUNTS]) + (", ..." if len(accounts) > _SHOWN_ACCOUNTS else "")
        remedy = f"write one of {shown}, or declare it in {network_key('accounts')}"
        return _Accounts({name: name for name in accounts}, None, remedy)
    # Backwards, so that of two accounts the first one counts.
    known = {text: each.key for each in reversed(operator.accounts) for text in (each.name, each.key)}
    unset = operator.choria.key if operator.choria else ""
    return _Accounts(known, unset, "write the name or public key of one of the operator's accounts")


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
        problem, effect = (
            "leafnodes log in with certificates, but client certificates are off",
            "no leafnode can connect",
        )
        context.collector.warn(
            Code.LEAFNODES_WITHOUT_CERTIFICATES,
            problem=problem,
            effect=effect,
            at=context.values.ref(port_key),
        )
    remotes: list[LeafnodeRemote] = []
    known = _accounts(accounts, operator)
    joined: dict[_Link, str] = {}
    for name in context.distinct(_NAMES):
        remote = _leafnode_remote(context, name, tls, known, joined)
        if remote:
            remotes.append(remote)
            joined |= {(url, remote.account, remote.credentials): name for url in remote.urls}
    if remotes and not context.values.given(_CLUSTER):
        _warn_of_common_name(context)
    return Leafnodes(**plain(context, Leafnodes), remotes=tuple(remotes))


def _warn_of_common_name(context: Context) -> None:
    name = context.values.text(_CLUSTER)
    context.collector.warn(
        Code.COMMON_CLUSTER_NAME,
        problem=f"{_CLUSTER} is not set, so this broker's cluster has the default name {name}",
        effect=(
            "a broker whose cluster has the same name refuses this leafnode, and leafnodes with the same "
            "cluster name cannot reach each other"
        ),
        remedy=f"set {_CLUSTER} to a name that only this site uses",
        at=context.values.ref(_NAMES),
    )


def _leafnode_remote(
    context: Context, name: str, broker_tls: Tls, accounts: _Accounts, joined: Mapping[_Link, str]
) -> LeafnodeRemote | None:
    values = context.values
    prefix = network_key(f"leafnode_remote.{name}.")
    remote = Remote(context, prefix, f"leafnode remote {shown_name(name)}", "leafnode_remotes")
    urls = _urls(remote)
    account = _account(remote, accounts) if urls else ""
    if not account:
        return None
    key = _credentials_key(context, prefix)
    credentials = values.path(key)
    if _joined_already(remote, (urls, account, credentials), joined):
        return None
    if credentials and not _usable(remote, key, credentials):
        return None
    tls = remote.tls(urls)
    if tls is None:
        return None
    _warn_about_tls(remote, urls, tls, broker_tls)
    return LeafnodeRemote(name=name, urls=urls, account=account, credentials=credentials, tls=tls)


def _urls(remote: Remote) -> tuple[Endpoint, ...]:
    """Return the addresses, empty when the engine could not use them together."""
    urls = remote.urls("url", "nats-leaf")
    if len({url.scheme.startswith("ws") for url in urls}) > 1:
        problem = "websocket and plain addresses in one remote"
        remote.skip(Code.MIXED_URLS, problem=problem, at=remote.context.values.ref(remote.prefix + "url"))
        return ()
    return urls


def _account(remote: Remote, accounts: _Accounts) -> str:
    """Return the account as the engine knows it, empty when there is no such account."""
    values, key = remote.context.values, remote.prefix + "account"
    if accounts.unset is None or values.given(key):
        text = values.text(key)
        found = accounts.known.get(text, "")
    else:
        text, found = "", accounts.unset
    if not found:
        at = values.ref(key) if text else values.absent(key, _NAMES)
        problem = f"there is no account {shown_name(text)}" if text else "no account is set"
        remote.skip(Code.UNKNOWN_ACCOUNT, problem=problem, remedy=accounts.remedy, at=at)
    return found


def _joined_already(
    remote: Remote, link: tuple[tuple[Endpoint, ...], str, Path | None], joined: Mapping[_Link, str]
) -> bool:
    """Leave out a second way to the same place: the engine may not start, or each ends the other again and again."""
    urls, account, credentials = link
    other = next((joined[place] for place in ((url, account, credentials) for url in urls) if place in joined), "")
    if other:
        problem = (
            f"remote {shown_name(other)} already connects to the same broker with the same account and credentials"
        )
        remote.skip(
            Code.DUPLICATE_REMOTE,
            problem=problem,
            at=remote.context.values.ref(remote.prefix + "url"),
        )
    return bool(other)


def _credentials_key(context: Context, prefix: str) -> str:
    """Return the key of the credentials file, in the spelling that counts."""
    values, key, other = context.values, prefix + "credentials", prefix + "credential"
    if not values.given(other):
        return key
    effect = "it is ignored" if values.given(key) else "it is used, although go-choria does not read it"
    at = values.ref(other)
    context.collector.warn(
        Code.ALIAS_KEY, problem=f"another spelling of {key}", effect=effect, remedy="write credentials", at=at
    )
    return key if values.given(key) else other


def _usable(remote: Remote, key: str, path: Path) -> bool:
    """Tell whether a credentials file is whole; the engine would go on trying with one that is not."""
    facts, at = remote.context.facts, remote.context.values.ref(key)
    fact = facts.file(path)
    if fact.problem:
        remedy = "put the credentials file there; nsc writes such files"
        remote.skip(Code.BAD_CREDENTIALS, problem=f"{shown_file(path)}: {fact.problem}", remedy=remedy, at=at)
        return False
    found = inspect_credentials(fact.content, facts.now)
    if not isinstance(found, CredentialsProblem):
        return True
    problem = f"{shown_file(path)}: {found.problem}"
    if found.expired:
        effect = "the other side refuses it until the file is renewed, which needs no restart"
        remote.context.collector.warn(
            Code.CREDENTIALS_EXPIRED, problem=problem, effect=effect, remedy=found.remedy, at=at
        )
    else:
        remote.skip(Code.BAD_CREDENTIALS, problem=problem, remedy=found.remedy, at=at)
    return found.expired


def _warn_about_tls(remote: Remote, urls: tuple[Endpoint, ...], tls: RemoteTls, broker_tls: Tls) -> None:
    collector, at = remote.context.collector, remote.context.values.ref(remote.prefix + "url")
    if tls.verify and not (tls.custom or tls.disabled) and without_ca(broker_tls):
        problem, effect = "there is no CA with which to verify the other side", "anybody can pretend to be that broker"
        collector.warn(
            Code.REMOTE_NOT_VERIFIED,
            problem=problem,
            effect=effect,
            remedy=f"set {remote.prefix}tls.ca, or {CHORIA_CA}",
            at=at,
        )
    schemes, secured = {url.scheme for url in urls}, not tls.disabled and (tls.custom or broker_tls.everywhere)
    if "wss" in schemes and not secured:
        problem = "wss:// uses TLS even when TLS is off"
        effect = "the other side is verified with this machine's CAs, and gets no certificate from this broker"
        collector.warn(
            Code.WEBSOCKET_SCHEME,
            problem=problem,
            effect=effect,
            remedy="write ws:// for clear text, or leave TLS on",
            at=at,
        )
    if "ws" in schemes and secured:
        problem, effect = "ws:// means clear text, but TLS is on for this remote", "TLS is used"
        remedy = f"write wss://, or set {remote.prefix}tls.disable = yes for clear text"
        collector.warn(Code.WEBSOCKET_SCHEME, problem=problem, effect=effect, remedy=remedy, at=at)
