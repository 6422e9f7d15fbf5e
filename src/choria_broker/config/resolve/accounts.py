"""Accounts: which there are, and that nobody unverified gets into one by accident."""

from __future__ import annotations

from collections.abc import Collection

from choria_broker.config.resolve.context import CLIENT_ANON_TLS, Context, network_key
from choria_broker.config.text.collector import SettingRef
from choria_broker.config.text.shown_values import shown_name
from choria_broker.patterns import expression
from choria_broker.settings.accounts import CHORIA_ACCOUNT, PROVISIONING_ACCOUNT, SYSTEM_ACCOUNT
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.links import LeafnodeRemote
from choria_broker.settings.network import Provisioning, SystemUser
from choria_broker.settings.security import Issuer
from choria_broker.settings.tls import Tls

_ACCOUNTS = network_key("accounts")
_UNVERIFIED = network_key("unverified_account")
_NAME = expression(r"[A-Za-z0-9_-]+")
_TAKEN = frozenset({SYSTEM_ACCOUNT, CHORIA_ACCOUNT, PROVISIONING_ACCOUNT, "auth"})


def resolve_accounts(context: Context) -> tuple[str, ...]:
    """Return the further local accounts."""
    names = context.distinct(_ACCOUNTS)
    for name in names:
        _check_name(context, name, context.values.ref(_ACCOUNTS, name))
    return names


def organization_account(context: Context, issuer: str) -> str:
    """Return the account of the connections with tokens of an issuer."""
    key = f"plugin.security.issuer.{issuer}.account"
    account = context.values.text(key)
    if account != CHORIA_ACCOUNT:
        _check_name(context, account, context.values.ref(key))
    return account


def _check_name(context: Context, name: str, at: SettingRef) -> None:
    if name.lower() in _TAKEN:
        problem, remedy = "the name of an account that the broker creates itself", "choose another name"
        context.collector.refuse(Code.BAD_ACCOUNT, problem=problem, remedy=remedy, at=at)
    elif not _NAME.fullmatch(name):
        problem, remedy = "not a valid account name", "use letters, digits, - and _"
        context.collector.refuse(Code.BAD_ACCOUNT, problem=problem, remedy=remedy, at=at)


def check_organizations(
    context: Context, tls: Tls, issuers: tuple[Issuer, ...], provisioning: Provisioning, system_user: SystemUser | None
) -> None:
    """Report what organizations with accounts of their own make of the logins that all of them could share.

    Args:
        context: inputs.
        tls: how TLS is used.
        issuers: the organizations.
        provisioning: logins to account ``provisioning``.
        system_user: login of account ``system``, None when there is none.
    """
    _check_keys(context, issuers)
    apart = [issuer for issuer in issuers if issuer.account != CHORIA_ACCOUNT]
    if not apart or not tls.enabled:
        return
    if provisioning.enabled and provisioning.provisioner_without_token:
        context.collector.warn(
            Code.ORGANIZATIONS_MEET,
            problem="there are organizations with their own accounts",
            effect="any of them that knows the provisioning password can act as the provisioner of all nodes",
            at=context.values.ref(network_key("provisioning.provisioner_without_token")),
        )
    if len(apart) < len(issuers):
        return
    problem = "no issuer has account choria, and only tokens from such an issuer are accepted for this login"
    if provisioning.enabled:
        refused = [] if provisioning.provisioner_without_token else ["the provisioner"]
        refused += ["nodes with EdDSA tokens" if provisioning.signer else "all nodes waiting for provisioning"]
        effect = f"refused: {' and '.join(refused)}"
        at = context.values.ref(network_key("provisioning.client_password"))
        context.collector.warn(Code.ORGANIZATIONS_APART, problem=problem, effect=effect, at=at)
    if system_user:
        effect = (
            "the system user needs a certificate"
            if tls.verify_clients
            else "every login to the system account fails: certificates are not accepted here either"
        )
        at = context.values.ref(network_key("system.user"))
        context.collector.warn(Code.ORGANIZATIONS_APART, problem=problem, effect=effect, at=at)


def _check_keys(context: Context, issuers: tuple[Issuer, ...]) -> None:
    """Warn where one key signs for several accounts: its owner names either organization in a token."""
    known: dict[str, Issuer] = {}
    for issuer in issuers:
        other = known.setdefault(issuer.public_key, issuer)
        if other.account != issuer.account:
            context.collector.warn(
                Code.SHARED_ISSUER_KEY,
                problem=f"the same key as issuer {shown_name(other.name)}, which has another account",
                effect="whoever has this key can use both accounts",
                at=context.values.ref(f"plugin.security.issuer.{issuer.name}.public"),
            )


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
    account, at = values.text(_UNVERIFIED), values.ref(_UNVERIFIED)
    if not account:
        return ""
    if account != CHORIA_ACCOUNT and account not in accounts:
        problem = f"{shown_name(account)} cannot be used for unverified clients"
        remedy = f"declare a separate account in {_ACCOUNTS} and name it here"
        collector.refuse(Code.BAD_UNVERIFIED_ACCOUNT, problem=problem, remedy=remedy, at=at)
    elif (
        tls.enabled
        and (account == CHORIA_ACCOUNT or account in organizations)
        and not any(remote.account == account for remote in remotes)
    ):
        # Such an account may lead to a secured network, or the operator gave up TLS anyway; else it is the fleet's own.
        collector.refuse(
            Code.OPEN_BROKER,
            problem=f"anybody could join the fleet in account {shown_name(account)} without certificate and token",
            remedy=(
                f"declare a separate account in {_ACCOUNTS}, bind a leafnode remote to "
                f"account {shown_name(account)}, or start a broker for development with --disable-tls"
            ),
            at=at,
        )
    if values.flag(CLIENT_ANON_TLS):
        problem = f"contradicts {CLIENT_ANON_TLS}, which accepts only clients with tokens"
        collector.refuse(Code.UNVERIFIED_WITH_TOKENS_ONLY, problem=problem, at=at)
    return account
