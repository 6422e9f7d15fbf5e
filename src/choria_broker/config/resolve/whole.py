"""From typed values and facts to settings: the one place that decides what a configuration means."""

from __future__ import annotations

import types

from choria_broker.config.resolve.adapters import resolve_adapters, spare_the_rest
from choria_broker.config.resolve.certificates import check_certificate
from choria_broker.config.resolve.companion_sides import Sides
from choria_broker.config.resolve.companion_token import check_login, read_login
from choria_broker.config.resolve.context import NETWORK_ON, Context, configured_identity
from choria_broker.config.resolve.federation import resolve_federation
from choria_broker.config.resolve.key_processes import check_length, keys_outside
from choria_broker.config.resolve.listeners import check_ports, resolve_statistics
from choria_broker.config.resolve.network import resolve_network, soft_shutdown
from choria_broker.config.resolve.operator import check_reload
from choria_broker.config.resolve.plain import plain
from choria_broker.config.resolve.security import resolve_security, signer_files
from choria_broker.config.resolve.tls import resolve_tls
from choria_broker.config.resolve.void import report_void
from choria_broker.config.surroundings.facts import Facts, Overrides
from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.reading import Values
from choria_broker.config.text.shown_values import shown_name
from choria_broker.security.signer_files import signer_file_names
from choria_broker.settings.broker import LOG_WORDS, LogLevel, Settings
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import blocking
from choria_broker.settings.hostnames import is_host
from choria_broker.settings.network import NETWORK, Network
from choria_broker.settings.security import Provider
from choria_broker.settings.served import Served
from choria_broker.values import replace

_LISTS = {
    NETWORK + "gateway_remote.": NETWORK + "gateway_remotes",
    NETWORK + "leafnode_remote.": NETWORK + "leafnode_remotes",
    NETWORK + "mapping.": NETWORK + "mapping.names",
    "plugin.security.issuer.": "plugin.security.issuer.names",
    "plugin.choria.adapter.": "plugin.choria.adapters",
}
"""For each keyed family, the list that says which of its members exist."""
_FEATURES = (NETWORK_ON, "plugin.choria.broker_federation")
_ADAPTERS = "plugin.choria.adapters"


def resolve(
    values: Values, facts: Facts, overrides: Overrides, collector: Collector, served: Served | None = None
) -> Settings | None:
    """Decide what a configuration means.

    Args:
        values: typed values.
        facts: what the edges found out.
        overrides: choices of the command line.
        collector: receives findings, and may hold some from reading.
        served: what a running broker serves; what turned bad since it was read stays as it is served.

    Returns:
        The settings, or None when any finding keeps the broker from starting.
    """
    context = Context(values, facts, overrides, collector, configured_identity(values) or facts.identity, served)
    _check_identity(context)
    _report_unlisted(context)
    settings = _settings(context)
    files = signer_files(context, signer_file_names(settings))
    settings = replace(settings, signer_files=types.MappingProxyType(files))
    check_reload(context, settings)
    return None if blocking(collector.findings()) else settings


def _settings(context: Context) -> Settings:
    values = context.values
    network_on, federation_on = (values.flag(key) for key in _FEATURES)
    companions = federation_on or bool(values.items(_ADAPTERS))
    if not (network_on or companions):
        _refuse_nothing_to_do(context)
    # A misspelt word counts as off, but the operator wants to hear about everything else at once.
    network_meant = network_on or values.is_bad(NETWORK_ON)
    tls, security = resolve_tls(context), resolve_security(context)
    if network_meant:
        network = resolve_network(context, tls, security)
        tls = replace(tls, outside=keys_outside(context, tls, network))
        check_certificate(context, tls, network)
        check_length(context, tls)
    else:
        network = Network(soft_shutdown_timeout=soft_shutdown(context))
    statistics = resolve_statistics(context)
    collectives = values.items("collectives")
    if not collectives:
        collectives = ("choria" if security.provider is Provider.CHORIA else "mcollective",)
    main_collective = values.text("main_collective") or collectives[0]
    login = read_login(context)
    sides = Sides(context, tls, security, main_collective, login.holder)
    settings = Settings(
        **plain(context, Settings),
        source=context.facts.source,
        identity=context.identity,
        tls=tls,
        logfile=_logfile(context),
        loglevel=LogLevel.DEBUG if context.overrides.debug else LogLevel(values.text("loglevel")),
        collectives=collectives,
        main_collective=main_collective,
        adapters=resolve_adapters(context, sides, network=network_meant),
        federation=resolve_federation(context, sides, network=network_meant) if federation_on else None,
        network=network,
        security=security,
        statistics=statistics,
        origins=types.MappingProxyType({key: values.origin(key) for key in values.set_keys()}),
        raw=types.MappingProxyType(dict(values.raw)),
    )
    check_login(context, login, settings)
    check_ports(context, settings)
    report_void(context, settings)
    if network_meant:
        spare_the_rest(context.collector, companions=companions)
    return settings


def _logfile(context: Context) -> str:
    text = context.values.text("logfile")
    return text.lower() if text.lower() in LOG_WORDS else text


def _check_identity(context: Context) -> None:
    at = context.values.ref("identity")
    if not context.identity:
        problem = "not set, and this machine has no host name"
        context.collector.refuse(Code.NO_IDENTITY, problem=problem, at=at)
    elif any(character.isspace() or not character.isprintable() for character in context.identity):
        problem = "a name with spaces or control characters"
        context.collector.refuse(Code.BAD_IDENTITY, problem=problem, at=at)
    elif (
        context.values.flag(NETWORK_ON)
        and not is_host(context.identity)
        and not context.values.given(NETWORK + "public_url")
    ):
        problem, effect = "not a host name", "this broker announces no address to clients"
        remedy = f"set identity to the full host name, or {NETWORK}public_url to the address that clients use"
        context.collector.warn(Code.IDENTITY_NO_HOST, problem=problem, effect=effect, remedy=remedy, at=at)


def _refuse_nothing_to_do(context: Context) -> None:
    for key in _FEATURES:
        if context.values.is_bad(key):
            problem = "all broker features are disabled: this word is not a boolean and is read as false"
            context.collector.refuse(
                Code.NOTHING_ENABLED, problem=problem, remedy=f"write {key} = true", at=context.values.ref(key)
            )
            return
    problem = "all broker features are disabled"
    remedy = f"set {NETWORK_ON} = true"
    context.collector.refuse(Code.NOTHING_ENABLED, problem=problem, remedy=remedy, at=context.values.ref(NETWORK_ON))


def _report_unlisted(context: Context) -> None:
    reported = set()
    listed = {names: frozenset(context.values.items(names)) for names in _LISTS.values()}
    for key in context.values.set_keys():
        match = SETTINGS.find(key)
        if not match or not match.name:
            continue
        prefix, names = match.setting.prefix, _LISTS[match.setting.prefix]
        if match.name in listed[names] or (prefix, match.name) in reported:
            continue
        reported.add((prefix, match.name))
        name = shown_name(match.name)
        problem, remedy = f"{name} is not in {names}", f"add {name} to {names}, or remove its settings"
        context.collector.warn(
            Code.UNLISTED_NAME, problem=problem, effect="it is ignored", remedy=remedy, at=context.values.ref(key)
        )
