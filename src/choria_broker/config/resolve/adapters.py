"""Settings of data adapters and of the federation broker that can be judged before they run."""

from __future__ import annotations

from choria_broker.config.resolve.context import Context
from choria_broker.config.resolve.plain import check_bounds
from choria_broker.config.text.addresses import parse_endpoint
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.shown_values import shown_name
from choria_broker.config.text.values import BadValueError
from choria_broker.settings.finding_codes import Code

_TYPES = ("choria_streams", "jetstream")
_ADAPTERS = "plugin.choria.adapters"
_FEDERATION = "plugin.choria.broker_federation"
_FEDERATION_HOSTS = "plugin.choria.federation_middleware_hosts"
_LEFT_OUT = frozenset({_ADAPTERS, _FEDERATION, _FEDERATION_HOSTS, "plugin.choria.middleware_hosts"})
_FAMILIES_LEFT_OUT = ("plugin.choria.adapter.", "plugin.choria.federation.", "plugin.nats.")


def resolve_adapters(context: Context) -> tuple[str, ...]:
    """Return the names of the adapters, after a look at the settings of each."""
    names = context.distinct(_ADAPTERS)
    for name in names:
        prefix = f"plugin.choria.adapter.{name}."
        _check_type(context, prefix)
        if not context.values.text(prefix + "ingest.topic"):
            key = prefix + "ingest.topic"
            remedy = f"set {key} to the subject to read"
            at = context.values.absent(key, _ADAPTERS)
            context.collector.refuse(Code.ADAPTER_WITHOUT_TOPIC, problem="not set", remedy=remedy, at=at)
        check_bounds(context, "plugin.choria.adapter.", name)
        check_addresses(context, prefix + "stream.servers")
    if names:
        check_addresses(context, "plugin.choria.middleware_hosts")
    return names


def _check_type(context: Context, prefix: str) -> None:
    values, collector = context.values, context.collector
    key = prefix + "type"
    if not values.given(key) and values.given(prefix + "stream.type"):
        older = prefix + "stream.type"
        effect = "it is used, although go-choria does not read it"
        collector.warn(
            Code.ALIAS_KEY,
            problem=f"an older place of {key}",
            effect=effect,
            remedy=f"write {key}",
            at=values.subject(older),
        )
        key = older
    kind, at = values.text(key), values.subject(key)
    remedy = f"write {_TYPES[0]}"
    if not kind:
        collector.refuse(
            Code.ADAPTER_WITHOUT_TYPE,
            problem="not set",
            remedy=f"set {key} = {_TYPES[0]}",
            at=values.absent(key, _ADAPTERS),
        )
    elif kind == "nats_stream":
        collector.refuse(Code.ADAPTER_TYPE, problem="NATS Streaming Server is retired", remedy=remedy, at=at)
    elif kind not in _TYPES:
        collector.refuse(Code.ADAPTER_TYPE, problem="no such type of adapter", remedy=remedy, at=at)


def check_federation(context: Context) -> None:
    """Look at the settings of a federation broker that is about to run."""
    values = context.values
    check_addresses(context, "plugin.choria.middleware_hosts")
    check_addresses(context, _FEDERATION_HOSTS)
    if not values.items(_FEDERATION_HOSTS) and not values.flag("plugin.choria.use_srv"):
        context.collector.warn(
            Code.NO_FEDERATION_HOSTS,
            problem="no federation brokers are known, and SRV records are off",
            effect="the federation side cannot connect",
            remedy=f"set {_FEDERATION_HOSTS}",
            at=values.subject(_FEDERATION_HOSTS),
        )


def leave_out(context: Context, adapters: tuple[str, ...], *, federation: bool, network: bool) -> None:
    """Report the features that are on and not in this version; alone they are nothing to start a broker for.

    Args:
        context: inputs.
        adapters: names of adapters to run.
        federation: the federation broker is on.
        network: the network broker is on.
    """
    values, collector = context.values, context.collector
    unbuilt = [("the federation broker", values.subject(_FEDERATION))] if federation else []
    unbuilt += [(f"adapter {shown_name(name)}", values.subject(_ADAPTERS, name)) for name in adapters]
    for what, at in unbuilt:
        problem = f"{what} is not available in this version"
        if network:
            remedy = f"remove it from {at.key}, or use go-choria for it"
            collector.skip(
                Code.NOT_IN_THIS_VERSION,
                problem=problem,
                effect="it does not run; everything else does",
                remedy=remedy,
                at=at,
            )
        else:
            remedy = "use go-choria for it, or set plugin.choria.broker_network = true and run without it"
            collector.refuse(
                Code.NOT_IN_THIS_VERSION, problem=f"{problem}, and nothing else is enabled", remedy=remedy, at=at
            )


def spare_the_rest(collector: Collector) -> None:
    """Turn refusals about features that are not in this version into warnings, for a network broker that runs anyway.

    Args:
        collector: holds the findings of reading and resolving.
    """
    collector.soften(_is_left_out, "this version does not have the feature; everything else runs")


def _is_left_out(key: str) -> bool:
    return key in _LEFT_OUT or key.startswith(_FAMILIES_LEFT_OUT)


def check_addresses(context: Context, key: str) -> None:
    """Refuse addresses of a list that cannot be read."""
    for text in context.values.items(key):
        try:
            parse_endpoint(text)
        except BadValueError as error:
            context.collector.refuse(
                Code.BAD_ADDRESS, problem=error.problem, remedy=error.remedy, at=context.values.subject(key, text)
            )
