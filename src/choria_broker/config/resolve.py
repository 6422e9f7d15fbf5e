"""From typed values and facts to settings: the one place that decides what a configuration means."""

from __future__ import annotations

import types

from choria_broker.config.collector import Collector
from choria_broker.config.context import Context
from choria_broker.config.endpoints import listen_address
from choria_broker.config.facts import Facts, Overrides
from choria_broker.config.findings import refusals
from choria_broker.config.reading import Values
from choria_broker.config.resolve_adapters import check_federation, leave_out, resolve_adapters
from choria_broker.config.resolve_network import check_ports, resolve_network, soft_shutdown
from choria_broker.config.resolve_security import resolve_security, resolve_tls
from choria_broker.config.settings import LogLevel, Network, Provider, Settings, Statistics
from choria_broker.config.table import NETWORK, SETTINGS

_LISTS = {
    NETWORK + "gateway_remote.": NETWORK + "gateway_remotes",
    NETWORK + "leafnode_remote.": NETWORK + "leafnode_remotes",
    NETWORK + "mapping.": NETWORK + "mapping.names",
    "plugin.security.issuer.": "plugin.security.issuer.names",
    "plugin.choria.adapter.": "plugin.choria.adapters",
}
"""For each keyed family, the list that says which of its members exist."""
_FEATURES = ("plugin.choria.broker_network", "plugin.choria.broker_federation")
_LOG_WORDS = frozenset({"stdout", "stderr", "discard"})


def resolve(values: Values, facts: Facts, overrides: Overrides, collector: Collector) -> Settings | None:
    """Decide what a configuration means.

    Args:
        values: typed values.
        facts: what the edges found out.
        overrides: choices of the command line.
        collector: receives findings, and may hold some from reading.

    Returns:
        The settings, or None when any finding keeps the broker from starting.
    """
    context = Context(values, facts, overrides, collector, values.text("identity") or facts.identity)
    _check_identity(context)
    _report_unlisted(context)
    settings = _settings(context)
    return None if refusals(collector.findings()) else settings


def _settings(context: Context) -> Settings:
    values = context.values
    network_on, federation_on = (values.flag(key) for key in _FEATURES)
    adapters = resolve_adapters(context)
    if not (network_on or federation_on or adapters):
        _refuse_nothing_to_do(context)
    if federation_on:
        check_federation(context)
    # A misspelt word counts as off, but the operator wants to hear about everything else at once.
    network_meant = network_on or values.is_bad(_FEATURES[0])
    leave_out(context, adapters, federation=federation_on, network=network_meant)
    tls, security = resolve_tls(context), resolve_security(context)
    if network_meant:
        network = resolve_network(context, tls, security)
    else:
        network = Network(soft_shutdown_timeout=soft_shutdown(context))
    statistics = Statistics(
        context.parse("plugin.choria.stats_address", listen_address, "127.0.0.1"),
        values.number("plugin.choria.stats_port"),
        values.flag("plugin.choria.stats_ui"),
    )
    check_ports(context, network if network_on else None, statistics)
    collectives = values.items("collectives")
    if not collectives:
        collectives = ("choria" if security.provider is Provider.CHORIA else "mcollective",)
    return Settings(
        source=context.facts.source,
        identity=context.identity,
        tls=tls,
        logfile=_logfile(context),
        loglevel=LogLevel.DEBUG if context.overrides.debug else LogLevel(values.text("loglevel")),
        collectives=collectives,
        main_collective=values.text("main_collective") or collectives[0],
        network_enabled=network_on,
        federation_enabled=federation_on,
        federation_cluster=values.text("plugin.choria.federation.cluster"),
        adapters=adapters,
        network=network,
        security=security,
        statistics=statistics,
        origins=types.MappingProxyType({key: values.origin(key) for key in values.set_keys()}),
        raw=types.MappingProxyType(dict(values.raw)),
    )


def _logfile(context: Context) -> str:
    text = context.values.text("logfile")
    return text.lower() if text.lower() in _LOG_WORDS else text


def _check_identity(context: Context) -> None:
    at = context.values.subject("identity")
    if not context.identity:
        problem = "not set, and this machine has no name"
        context.collector.refuse("no-identity", problem, "set identity to the full host name", at)
    elif any(character.isspace() or not character.isprintable() for character in context.identity):
        problem = "a name with blanks or control characters"
        context.collector.refuse("bad-identity", problem, "set identity to the full host name", at)


def _refuse_nothing_to_do(context: Context) -> None:
    for key in _FEATURES:
        if context.values.is_bad(key):
            problem = "all broker features are disabled: this word is not a truth value and counts as false"
            context.collector.refuse("nothing-enabled", problem, f"write {key} = true", context.values.subject(key))
            return
    problem = "all broker features are disabled"
    remedy = f"set {_FEATURES[0]} = true"
    context.collector.refuse("nothing-enabled", problem, remedy, context.values.subject(_FEATURES[0]))


def _report_unlisted(context: Context) -> None:
    reported = set()
    for key in context.values.set_keys():
        match = SETTINGS.find(key)
        if not match or not match.name:
            continue
        prefix, names = match.setting.prefix, _LISTS[match.setting.prefix]
        if match.name in context.values.items(names) or (prefix, match.name) in reported:
            continue
        reported.add((prefix, match.name))
        problem = f"{match.name} is not in {names}"
        remedy = f"add {match.name} to {names}, or remove its settings"
        context.collector.warn("unlisted-name", problem, "it is ignored", remedy, context.values.subject(key))
