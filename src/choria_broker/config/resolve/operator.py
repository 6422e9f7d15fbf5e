"""Operator mode: what the store of an operator means, and which settings cannot be combined with it."""

from __future__ import annotations

import datetime as dt
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.text.collector import Collector, SettingRef
from choria_broker.config.text.shown_values import shown_name
from choria_broker.host.facts import FileFact, StoreFact
from choria_broker.security.operator_store import (
    StoredAccount,
    StoredOperator,
    StoreError,
    check_credentials,
    read_account,
    read_operator,
)
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.operator import Operator, OperatorAccount
from choria_broker.settings.streams import Streams
from choria_broker.values import replace

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
            "reload_sessions",
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
_SHOWN_NAMES = 10


class _Wanted(msgspec.Struct, frozen=True):
    """What the settings want of a store.

    Attributes:
        operator, system, choria: names; of accounts also public keys, empty when nothing is set.
        at_operator, at_system, at_choria: the settings.
        now: time for validity, with time zone.
    """

    operator: str
    system: str
    choria: str
    at_operator: SettingRef
    at_system: SettingRef
    at_choria: SettingRef
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
    name, at = values.text(OPERATOR), values.ref(OPERATOR)
    if not name:
        _report_without_operator(context)
        return None
    _refuse_excluded(context)
    store = context.facts.operator_store
    if not is_store_name(name) or store is None:
        collector.refuse(
            Code.BAD_OPERATOR, problem="not a valid operator name", remedy="write the name that nsc shows", at=at
        )
        return None
    wanted = _Wanted(
        name,
        values.text(_SYSTEM) if values.given(_SYSTEM) else "",
        values.text(_CHORIA),
        at,
        values.ref(_SYSTEM) if values.given(_SYSTEM) else at,
        values.ref(_CHORIA),
        context.facts.now,
    )
    served = context.served.operator if context.served else None
    return _operator(store, wanted, collector, {each.name: each for each in served.accounts} if served else {})


def check_reload(context: Context, settings: Settings) -> None:
    """Refuse what the engine of a running broker could not take over.

    Args:
        context: inputs, with what the broker serves.
        settings: what the configuration means by now.
    """
    served, operator = context.served, settings.network.operator
    if served is None or operator is None or served.operator is None:
        return
    if operator.token != served.operator.token:
        problem = f"{operator.directory / operator.directory.name}.jwt: the operator has changed"
        context.collector.refuse(Code.OPERATOR_CHANGED, problem=problem, at=context.values.ref(OPERATOR))


def check_operator_streams(context: Context, operator: Operator, streams: Streams) -> None:
    """Report what keeps Choria Streams from working in operator mode."""
    collector, at = context.collector, context.values.ref(_STORE)
    if not streams.store:
        return
    if operator.system is None:
        problem = f"Choria Streams need a system account, and {_SYSTEM} is not set"
        remedy = f"set {_SYSTEM} to an account of the operator, which nsc add operator --sys makes"
        collector.refuse(Code.STREAMS_WITHOUT_SYSTEM_ACCOUNT, problem=problem, remedy=remedy, at=at)
    if not context.values.given(_CHORIA):
        problem, effect = f"{_CHORIA} is not set", "the standard streams are not set up"
        collector.info(
            Code.STREAMS_WITHOUT_ACCOUNT,
            problem=problem,
            effect=effect,
            remedy=f"set {_CHORIA} to an account of the operator",
            at=at,
        )
    elif operator.choria and operator.choria.credentials is None:
        name = operator.choria.name
        directory = operator.credentials_directory(name)
        problem = f"the broker has no credentials file for account {name} in {directory}"
        remedy = f"write one with nsc generate creds --account {name} --output-file {directory}/broker.creds"
        effect, at = "the standard streams are not set up", context.values.ref(_CHORIA)
        collector.warn(Code.NO_ACCOUNT_CREDENTIALS, problem=problem, effect=effect, remedy=remedy, at=at)


def _report_without_operator(context: Context) -> None:
    values, collector = context.values, context.collector
    if values.given(_SYSTEM) and values.text(_SYSTEM) != _STANDING:
        problem = f"{OPERATOR} is not set, and without an operator the system account is {_STANDING}"
        remedy = f"set {OPERATOR}, or write {_STANDING}"
        collector.refuse(Code.SYSTEM_ACCOUNT_WITHOUT_OPERATOR, problem=problem, remedy=remedy, at=values.ref(_SYSTEM))
    if values.given(_CHORIA):
        effect, remedy = "it has no effect", f"set {OPERATOR}, or remove it"
        collector.warn(
            Code.NO_EFFECT, problem=f"{OPERATOR} is not set", effect=effect, remedy=remedy, at=values.ref(_CHORIA)
        )


def _refuse_excluded(context: Context) -> None:
    values = context.values
    for key in _EXCLUDED:
        if values.given(key) and not values.is_default(key):
            problem = f"cannot be combined with {OPERATOR}: the operator's accounts decide who may connect"
            remedy = f"remove {key}, or {OPERATOR}"
            context.collector.refuse(Code.OPERATOR_CONFLICT, problem=problem, remedy=remedy, at=values.ref(key))
    if values.given(_MAPPINGS):
        problem, effect = f"accounts of {OPERATOR} have their own mappings", "the mappings are ignored"
        context.collector.skip(
            Code.OPERATOR_MAPPINGS,
            problem=problem,
            effect=effect,
            at=values.ref(_MAPPINGS),
        )


def _operator_file(store: StoreFact) -> Path:
    return store.directory / f"{store.directory.name}.jwt"


def _account_file(store: StoreFact, name: str) -> Path:
    return store.directory / "accounts" / name / f"{name}.jwt"


def _operator(
    store: StoreFact, wanted: _Wanted, collector: Collector, served: Mapping[str, OperatorAccount]
) -> Operator | None:
    if store.problem:
        remedy = "put the operator's store there, as nsc writes it, and make it readable for the broker's user"
        # What was pasted for the name stands in the path too.
        problem = store.problem.replace(f"/{wanted.operator}", f"/{shown_name(wanted.operator)}")
        collector.refuse(Code.BAD_OPERATOR, problem=problem, remedy=remedy, at=wanted.at_operator)
        return None
    _warn_of_others(store, wanted, collector)
    try:
        stored = read_operator(_content(store.operator), wanted.now)
    except StoreError as error:
        problem = f"{_operator_file(store)}: {error.problem}"
        collector.refuse(Code.BAD_OPERATOR, problem=problem, remedy=error.remedy, at=wanted.at_operator)
        return None
    accounts = tuple(_accounts(store, stored, wanted, collector, served))
    operator = Operator(name=wanted.operator, directory=store.directory, token=stored.token, accounts=accounts)
    if not accounts:
        problem, effect = f"{store.directory} has no usable account", "nobody can log in"
        collector.warn(
            Code.NO_ACCOUNTS,
            problem=problem,
            effect=effect,
            at=wanted.at_operator,
        )
    system = _system(operator, stored, store, wanted, collector)
    return replace(operator, system=system, choria=_choria(operator, system, wanted, collector))


def _warn_of_others(store: StoreFact, wanted: _Wanted, collector: Collector) -> None:
    """Warn once when others than the owner can change whom the broker trusts."""
    opened = [str(path) for path, mode in store.modes.items() if mode & (stat.S_IWGRP | stat.S_IWOTH)]
    if opened:
        problem = f"group or others may write to {', '.join(opened)}"
        effect = "whoever can write there decides who may connect"
        remedy = f"chmod -R go-w {store.directory}"
        collector.warn(Code.OPEN_OPERATOR_STORE, problem=problem, effect=effect, remedy=remedy, at=wanted.at_operator)


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
            effect = f"account {name} stays unchanged" if kept else f"account {name} is not served"
            collector.skip(
                Code.BAD_OPERATOR_ACCOUNT,
                problem=f"{path}: {error.problem}",
                effect=effect,
                remedy=error.remedy,
                at=wanted.at_operator,
            )
            if kept:
                found[kept.key] = kept
            continue
        if stored.not_before > wanted.now.timestamp():
            effect = "nobody can log in to it until then"
            problem = f"{path}: the account is not valid yet"
            collector.warn(Code.EARLY_OPERATOR_ACCOUNT, problem=problem, effect=effect, at=wanted.at_operator)
        credentials = _credentials(store, stored, wanted, collector)
        found[stored.key] = OperatorAccount(name=name, key=stored.key, token=stored.token, credentials=credentials)
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
        raise StoreError(f"it has the same key as account {others[account.key].name}", "remove one of the two")
    return account


def _content(fact: FileFact) -> bytes:
    """Return what is in a file.

    Raises:
        StoreError: it could not be read.
    """
    if fact.problem:
        raise StoreError(fact.problem, "put the file there, or remove its directory")
    return fact.content


def _credentials(store: StoreFact, account: StoredAccount, wanted: _Wanted, collector: Collector) -> Path | None:
    """Return the first credentials file of an account that can be used, and report those that cannot."""
    for path, fact in store.credentials.get(account.name, {}).items():
        try:
            check_credentials(_content(fact), account, wanted.now)
        except StoreError as error:
            problem, effect = f"{path}: {error.problem}", "the broker does not log in with it"
            collector.warn(
                Code.BAD_ACCOUNT_CREDENTIALS, problem=problem, effect=effect, remedy=error.remedy, at=wanted.at_operator
            )
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
        problem, effect = "the operator has no system account", "no server events are available"
        remedy = f"create one with nsc, and name it in {_SYSTEM} if the operator's token does not"
        collector.info(Code.NO_SYSTEM_ACCOUNT, problem=problem, effect=effect, remedy=remedy, at=wanted.at_operator)
    elif account is None:
        where = _account_file(store, text) if text in store.accounts else store.directory / "accounts"
        problem = f"the system account {text} is not among the usable accounts of {where}"
        collector.refuse(Code.BAD_SYSTEM_ACCOUNT, problem=problem, remedy=_choice(operator), at=wanted.at_system)
    elif stored.system_account and account.key != stored.system_account:
        problem = f"{_operator_file(store)} names another system account"
        remedy = f"remove {_SYSTEM}, or change the operator with nsc edit operator --system-account"
        collector.refuse(Code.BAD_SYSTEM_ACCOUNT, problem=problem, remedy=remedy, at=wanted.at_system)
    return account


def _choria(
    operator: Operator, system: OperatorAccount | None, wanted: _Wanted, collector: Collector
) -> OperatorAccount | None:
    """Return the account that is set, which the system account cannot be, for that has no streams."""
    account = operator.account(wanted.choria) if wanted.choria else None
    effect = "the standard streams are not set up, and the broker has no account for its own connections"
    if wanted.choria and account is None:
        problem = f"the operator has no usable account {wanted.choria}"
        collector.skip(
            Code.UNKNOWN_CHORIA_ACCOUNT, problem=problem, effect=effect, remedy=_choice(operator), at=wanted.at_choria
        )
    elif account and system and account.key == system.key:
        problem = f"{account.name} is the system account, which has no streams"
        collector.skip(Code.CHORIA_ACCOUNT_IS_SYSTEM, problem=problem, effect=effect, at=wanted.at_choria)
        return None
    return account


def _choice(operator: Operator) -> str:
    """Say which accounts there are."""
    names = [account.name for account in operator.accounts]
    shown = ", ".join(names[:_SHOWN_NAMES]) or "an account of the operator"
    return f"write one of {shown}{' and others' if len(names) > _SHOWN_NAMES else ''}, or repair that account"
