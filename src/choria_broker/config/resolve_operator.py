"""Operator mode: what the store of an operator means, and which settings cannot be combined with it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from choria_broker.config.collector import Collector, Subject
from choria_broker.config.context import Context, network_key
from choria_broker.config.facts import FileFact, StoreFact
from choria_broker.config.findings import Finding, refusals
from choria_broker.config.settings import Leafnodes, Operator, OperatorAccount, Settings, Streams
from choria_broker.security.operator_store import (
    StoredAccount,
    StoredOperator,
    StoreError,
    check_credentials,
    read_account,
    read_operator,
)

OPERATOR = network_key("operator_account")
_SYSTEM = network_key("system_account")
_CHORIA = network_key("choria_account")
_STORE = network_key("stream.store")
_STANDING = "system"
"""The system account of a broker without an operator."""

_EXCLUDED = (
    *(
        network_key(name)
        for name in (
            "client_signer_cert",
            "server_signer_cert",
            "client_anon_tls",
            "client_hosts",
            "deny_server_connections",
            "unverified_account",
            "accounts",
            "system.user",
            "system.password",
            "provisioning.signer_cert",
            "provisioning.client_password",
            "provisioning.provisioner_without_token",
        )
    ),
    "plugin.choria.security.request_signing_certificate",
    "plugin.security.issuer.names",
)
_MAPPINGS = network_key("mapping.names")
_OF_THE_STORE = frozenset(
    {
        "bad-operator-account",
        "early-operator-account",
        "bad-account-credentials",
        "no-accounts",
        "no-system-account",
        "open-operator-store",
    }
)
"""Codes of findings about what a store holds, which a reload finds anew.

Without its account the broker goes on until it is restarted, so what is said about that stays.
"""
_SHOWN_NAMES = 10


@dataclasses.dataclass(frozen=True, slots=True)
class _Wanted:
    """What the settings want of a store.

    Attributes:
        operator, system, choria: names; of accounts also public keys, empty when nothing is set.
        at_operator, at_system, at_choria: the settings.
        now: time for validity, with time zone.
    """

    operator: str
    system: str
    choria: str
    at_operator: Subject
    at_system: Subject
    at_choria: Subject
    now: dt.datetime


def is_store_name(name: str) -> bool:
    """Tell whether a store can have this name: that of one directory, which is not hidden."""
    return bool(name) and name.isprintable() and "/" not in name and not name.startswith(".")


def resolve_operator(context: Context) -> Operator | None:
    """Return the operator with the accounts that it vouches for; None without one, or when it cannot be used.

    Args:
        context: inputs.
    """
    values, collector = context.values, context.collector
    name, at = values.text(OPERATOR), values.subject(OPERATOR)
    if not name:
        _report_without_operator(context)
        return None
    _refuse_excluded(context)
    store = context.facts.operator_store
    if not is_store_name(name) or store is None:
        collector.refuse("bad-operator", "not the name of an operator", "write the name that nsc shows", at)
        return None
    wanted = _Wanted(
        name,
        values.text(_SYSTEM) if values.given(_SYSTEM) else "",
        values.text(_CHORIA),
        at,
        values.subject(_SYSTEM) if values.given(_SYSTEM) else at,
        values.subject(_CHORIA),
        context.facts.now,
    )
    return _operator(store, wanted, collector, {})


def reloaded_settings(settings: Settings, store: StoreFact, now: dt.datetime, collector: Collector) -> Settings | None:
    """Return settings with what a store holds by now, for a broker that runs; None when nothing of it can be used.

    An account whose file turned bad stays as it is served, so that a mistake about one file cuts nobody off. Leafnode
    remotes whose account is gone are left out.

    Args:
        settings: of the broker, which has an operator.
        store: as it was read again.
        now: time for validity, with time zone.
        collector: receives findings.
    """
    served = settings.network.operator
    if served is None:
        raise ValueError("there is no operator")

    def subject(key: str, text: str) -> Subject:
        return Subject(key, text, settings.origin(key))

    system, choria = (account.name if account else "" for account in (served.system, served.choria))
    wanted = _Wanted(
        served.name,
        served.system.key if served.system else "",
        choria,
        subject(OPERATOR, served.name),
        subject(_SYSTEM, system),
        subject(_CHORIA, choria),
        now,
    )
    operator = _operator(store, wanted, collector, {account.name: account for account in served.accounts})
    if operator and operator.token != served.token:
        problem, remedy = f"{_operator_file(store)}: the operator has changed", "restart the broker"
        collector.refuse("operator-changed", problem, remedy, wanted.at_operator)
    _refuse_clear_gateways(settings, collector)
    if operator is None or refusals(collector.findings()):
        return None
    leafnodes = _leafnodes_left(settings, operator, collector)
    return dataclasses.replace(
        settings, network=dataclasses.replace(settings.network, operator=operator, leafnodes=leafnodes)
    )


def _refuse_clear_gateways(settings: Settings, collector: Collector) -> None:
    """Refuse a reload that would have the engine use TLS for a gateway that is to be in clear text."""
    gateway = settings.network.gateway
    secured = settings.tls.everywhere and gateway.tls
    for remote in gateway.remotes:
        if secured and remote.tls.disabled and remote.name != gateway.name:
            key = network_key(f"gateway_remote.{remote.name}.tls.disable")
            problem = "the engine would turn TLS on for this gateway when it reloads"
            collector.refuse(
                "gateway-needs-restart", problem, "restart the broker", Subject(key, "", settings.origin(key))
            )


def _leafnodes_left(settings: Settings, operator: Operator, collector: Collector) -> Leafnodes:
    """Return the leafnodes without the remotes whose account is gone."""
    leafnodes, left = settings.network.leafnodes, []
    for remote in leafnodes.remotes:
        if operator.account(remote.account):
            left.append(remote)
        else:
            key = network_key(f"leafnode_remote.{remote.name}.account")
            problem, effect = "its account is gone", f"leafnode remote {remote.name} is left out until a restart"
            at = Subject(key, remote.account, settings.origin(key))
            collector.skip("unknown-account", problem, effect, "restart the broker when the account is back", at)
    return dataclasses.replace(leafnodes, remotes=tuple(left))


def findings_after(before: Iterable[Finding], reload: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what there is to say once a reload is in force: of the store only what was found now."""
    return (*(finding for finding in before if finding.code not in _OF_THE_STORE), *reload)


def check_operator_streams(context: Context, operator: Operator, streams: Streams) -> None:
    """Report what keeps Choria Streams from working in operator mode."""
    collector, at = context.collector, context.values.subject(_STORE)
    if not streams.store:
        return
    if operator.system is None:
        problem = f"Choria Streams need a system account, and {_SYSTEM} is not set"
        remedy = f"set {_SYSTEM} to an account of the operator, which nsc add operator --sys makes"
        collector.refuse("streams-without-system-account", problem, remedy, at)
    if not context.values.given(_CHORIA):
        problem, effect = f"{_CHORIA} is not set", "the standard streams are not set up"
        collector.info("streams-without-account", problem, effect, f"set {_CHORIA} to an account of the operator", at)
    elif operator.choria and operator.choria.credentials is None:
        name = operator.choria.name
        directory = operator.credentials_directory(name)
        problem = f"the broker has no credentials file for account {name} in {directory}"
        remedy = f"write one with nsc generate creds --account {name} --output-file {directory}/broker.creds"
        effect, at = "the standard streams are not set up", context.values.subject(_CHORIA)
        collector.warn("no-account-credentials", problem, effect, remedy, at)


def _report_without_operator(context: Context) -> None:
    values, collector = context.values, context.collector
    if values.given(_SYSTEM) and values.text(_SYSTEM) != _STANDING:
        problem = f"{OPERATOR} is not set, and without an operator the system account is called {_STANDING}"
        remedy = f"set {OPERATOR}, or write {_STANDING}"
        collector.refuse("system-account-without-operator", problem, remedy, values.subject(_SYSTEM))
    if values.given(_CHORIA):
        effect, remedy = "it has no effect", f"set {OPERATOR}, or remove it"
        collector.warn("no-effect", f"{OPERATOR} is not set", effect, remedy, values.subject(_CHORIA))


def _refuse_excluded(context: Context) -> None:
    values = context.values
    for key in _EXCLUDED:
        if values.given(key) and not values.is_default(key):
            problem = f"cannot be combined with {OPERATOR}: the operator's accounts decide who gets in"
            remedy = f"remove {key}, or {OPERATOR}"
            context.collector.refuse("operator-conflict", problem, remedy, values.subject(key))
    if values.given(_MAPPINGS):
        problem, effect = f"accounts of {OPERATOR} have their own mappings", "the mappings are left out"
        context.collector.skip("operator-mappings", problem, effect, "use nsc add mapping", values.subject(_MAPPINGS))


def _operator_file(store: StoreFact) -> Path:
    return store.directory / f"{store.directory.name}.jwt"


def _account_file(store: StoreFact, name: str) -> Path:
    return store.directory / "accounts" / name / f"{name}.jwt"


def _operator(
    store: StoreFact, wanted: _Wanted, collector: Collector, served: Mapping[str, OperatorAccount]
) -> Operator | None:
    if store.problem:
        remedy = "put the operator's store there, as nsc lays it out, and let the broker's user read it"
        collector.refuse("bad-operator", store.problem, remedy, wanted.at_operator)
        return None
    _warn_of_others(store, wanted, collector)
    try:
        stored = read_operator(_content(store.operator), wanted.now)
    except StoreError as error:
        problem = f"{_operator_file(store)}: {error.problem}"
        collector.refuse("bad-operator", problem, error.remedy, wanted.at_operator)
        return None
    accounts = tuple(_accounts(store, stored, wanted, collector, served))
    operator = Operator(wanted.operator, store.directory, stored.token, accounts)
    if not accounts:
        problem, effect = f"{store.directory} has no account that can be used", "nobody can log in"
        collector.warn("no-accounts", problem, effect, "make one with nsc add account", wanted.at_operator)
    system = _system(operator, stored, store, wanted, collector)
    return dataclasses.replace(operator, system=system, choria=_choria(operator, system, wanted, collector))


def _warn_of_others(store: StoreFact, wanted: _Wanted, collector: Collector) -> None:
    """Warn once when others than the owner can change whom the broker trusts."""
    opened = [str(path) for path, mode in store.modes.items() if mode & (stat.S_IWGRP | stat.S_IWOTH)]
    if opened:
        problem = f"group or others may write to {', '.join(opened)}"
        effect = "whoever does decides who gets in"
        remedy = f"chmod -R go-w {store.directory}"
        collector.warn("open-operator-store", problem, effect, remedy, wanted.at_operator)


def _accounts(
    store: StoreFact,
    operator: StoredOperator,
    wanted: _Wanted,
    collector: Collector,
    served: Mapping[str, OperatorAccount],
) -> list[OperatorAccount]:
    """Return the accounts that can be used, and report the others."""
    found: dict[str, OperatorAccount] = {}
    for name, fact in store.accounts.items():
        path = _account_file(store, name)
        try:
            stored = _account(fact, name, operator, wanted, found)
        except StoreError as error:
            # Whoever deletes an account deletes its file; the directory may stay for the sake of others in it.
            kept = None if error.expired or fact.missing else served.get(name)
            effect = f"account {name} stays as it was" if kept else f"account {name} is left out"
            collector.skip("bad-operator-account", f"{path}: {error.problem}", effect, error.remedy, wanted.at_operator)
            if kept:
                found[kept.key] = kept
            continue
        if stored.not_before > wanted.now.timestamp():
            effect, remedy = "nobody gets in before that", "wait, or change it with nsc edit account --start"
            problem = f"{path}: the account is not valid yet"
            collector.warn("early-operator-account", problem, effect, remedy, wanted.at_operator)
        credentials = _credentials(store, stored, wanted, collector)
        found[stored.key] = OperatorAccount(name, stored.key, stored.token, credentials)
    return list(found.values())


def _account(
    fact: FileFact, name: str, operator: StoredOperator, wanted: _Wanted, others: Mapping[str, OperatorAccount]
) -> StoredAccount:
    """Read an account.

    Raises:
        StoreError: it cannot be used.
    """
    account = read_account(_content(fact), name, operator, wanted.now)
    if account.key in others:
        raise StoreError(f"its key is that of account {others[account.key].name}", "remove one of the two")
    return account


def _content(fact: FileFact) -> bytes:
    """Return what is in a file.

    Raises:
        StoreError: it could not be read.
    """
    if fact.problem:
        raise StoreError(fact.problem, "put the file there, or remove the directory that lacks it")
    return fact.content


def _credentials(store: StoreFact, account: StoredAccount, wanted: _Wanted, collector: Collector) -> Path | None:
    """Return the first credentials file of an account that can be used, and report those that cannot."""
    for path, fact in store.credentials.get(account.name, {}).items():
        try:
            check_credentials(_content(fact), account, wanted.now)
        except StoreError as error:
            problem, effect = f"{path}: {error.problem}", "the broker does not log in with it"
            collector.warn("bad-account-credentials", problem, effect, error.remedy, wanted.at_operator)
        else:
            return path
    return None


def _system(
    operator: Operator, stored: StoredOperator, store: StoreFact, wanted: _Wanted, collector: Collector
) -> OperatorAccount | None:
    """Return the system account: the one that is set, else the one the operator names."""
    text = wanted.system or stored.system_account
    account = operator.account(text) if text else None
    if not text:
        problem, effect = "the operator has no system account", "there are no events of the server"
        remedy = f"make one with nsc, and name it in {_SYSTEM} if the operator does not"
        collector.info("no-system-account", problem, effect, remedy, wanted.at_operator)
    elif account is None:
        where = _account_file(store, text) if text in store.accounts else store.directory / "accounts"
        problem = f"the system account {text} is not among the good accounts of {where}"
        collector.refuse("bad-system-account", problem, _choice(operator), wanted.at_system)
    elif stored.system_account and account.key != stored.system_account:
        problem = f"{_operator_file(store)} names another system account"
        remedy = f"remove {_SYSTEM}, or change the operator with nsc edit operator --system-account"
        collector.refuse("bad-system-account", problem, remedy, wanted.at_system)
    return account


def _choria(
    operator: Operator, system: OperatorAccount | None, wanted: _Wanted, collector: Collector
) -> OperatorAccount | None:
    """Return the account that is set, which the system account cannot be, for that has no streams."""
    account = operator.account(wanted.choria) if wanted.choria else None
    effect = "the standard streams are not set up, and the broker has no account of its own"
    if wanted.choria and account is None:
        problem = f"the operator has no good account {wanted.choria}"
        collector.skip("unknown-choria-account", problem, effect, _choice(operator), wanted.at_choria)
    elif account and system and account.key == system.key:
        problem, remedy = f"{account.name} is the system account, which has no streams", "write another account"
        collector.skip("choria-account-is-system", problem, effect, remedy, wanted.at_choria)
        return None
    return account


def _choice(operator: Operator) -> str:
    """Say which accounts there are."""
    names = [account.name for account in operator.accounts]
    shown = ", ".join(names[:_SHOWN_NAMES]) or "an account of the operator"
    return f"write one of {shown}{' and others' if len(names) > _SHOWN_NAMES else ''}, or mend that account"
