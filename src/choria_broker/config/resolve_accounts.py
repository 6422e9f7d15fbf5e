"""Accounts: which there are, and that nobody unverified gets into one by accident."""

from __future__ import annotations

import re
from collections.abc import Collection

from choria_broker.config.collector import Subject
from choria_broker.config.context import Context, network_key
from choria_broker.config.settings import LeafnodeRemote, Tls

CHORIA = "choria"
"""Account of the fleet."""

_ACCOUNTS = network_key("accounts")
_UNVERIFIED = network_key("unverified_account")
_CLIENT_ANON_TLS = network_key("client_anon_tls")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_TAKEN = frozenset({"system", CHORIA, "provisioning", "auth"})


def resolve_accounts(context: Context) -> tuple[str, ...]:
    """Return the further local accounts."""
    names = context.distinct(_ACCOUNTS)
    for name in names:
        _check_name(context, name, context.values.subject(_ACCOUNTS, name))
    return names


def organization_account(context: Context, issuer: str) -> str:
    """Return the account of the connections with tokens of an issuer."""
    key = f"plugin.security.issuer.{issuer}.account"
    account = context.values.text(key)
    if account != CHORIA:
        _check_name(context, account, context.values.subject(key))
    return account


def _check_name(context: Context, name: str, at: Subject) -> None:
    if name.lower() in _TAKEN:
        problem, remedy = "the name of an account that the broker makes itself", "choose another name"
        context.collector.refuse("bad-account", problem, remedy, at)
    elif not _NAME.fullmatch(name):
        problem, remedy = "not a name for an account", "use letters, digits, - and _"
        context.collector.refuse("bad-account", problem, remedy, at)


def resolve_unverified_account(
    context: Context,
    tls: Tls,
    accounts: Collection[str],
    organizations: Collection[str],
    remotes: tuple[LeafnodeRemote, ...],
) -> str:
    """Return the account of clients that present nothing at all, empty when they are refused.

    Args:
        context: inputs.
        tls: how TLS is used.
        accounts: the declared accounts.
        organizations: accounts of the organization issuers.
        remotes: leafnode remotes that can be used.
    """
    values, collector = context.values, context.collector
    account, at = values.text(_UNVERIFIED), values.subject(_UNVERIFIED)
    if not account:
        return ""
    if account != CHORIA and account not in accounts:
        problem = f"{account} is not an account that unverified clients can be placed in"
        remedy = f"declare an account of their own in {_ACCOUNTS} and name it here"
        collector.refuse("bad-unverified-account", problem, remedy, at)
    elif (
        tls.enabled
        and (account == CHORIA or account in organizations)
        and not any(remote.account == account for remote in remotes)
    ):
        # Such an account may lead to a secured network, or the operator gave up TLS anyway; else it is the fleet's own.
        collector.refuse(
            "open-broker",
            f"anybody could join the fleet in account {account} without certificate and token",
            f"declare an account of their own in {_ACCOUNTS}, bind a leafnode remote to account {account}, or start a "
            "broker for development with --disable-tls",
            at,
        )
    if values.flag(_CLIENT_ANON_TLS):
        problem = f"contradicts {_CLIENT_ANON_TLS}, which admits only clients with tokens"
        collector.refuse("unverified-with-tokens-only", problem, "remove one of the two", at)
    return account
