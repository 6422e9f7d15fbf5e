"""Settings of data adapters and of the federation broker that can be judged before they run."""

from __future__ import annotations

from choria_broker.config.context import Context
from choria_broker.config.endpoints import parse_endpoint
from choria_broker.config.values import BadValueError

_TYPES = ("choria_streams", "jetstream")
_ADAPTERS = "plugin.choria.adapters"
_FEDERATION = "plugin.choria.broker_federation"
_FEDERATION_HOSTS = "plugin.choria.federation_middleware_hosts"


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
            context.collector.refuse("adapter-without-topic", "not set", remedy, at)
        for count in ("queue_len", "ingest.workers", "stream.workers"):
            if context.values.number(prefix + count) < 1:
                at = context.values.subject(prefix + count)
                context.collector.refuse("bad-value", "not above zero", "write 1 or more", at)
        check_addresses(context, prefix + "stream.servers")
    if names:
        check_addresses(context, "plugin.choria.middleware_hosts")
    return names


def _check_type(context: Context, prefix: str) -> None:
    values, collector = context.values, context.collector
    key = prefix + "type"
    if not values.given(key) and values.given(prefix + "stream.type"):
        older = prefix + "stream.type"
        effect = "it is used, where go-choria does not read it"
        collector.warn("alias-key", f"an older place of {key}", effect, f"write {key}", values.subject(older))
        key = older
    kind, at = values.text(key), values.subject(key)
    remedy = f"write {_TYPES[0]}"
    if not kind:
        collector.refuse("adapter-without-type", "not set", f"set {key} = {_TYPES[0]}", values.absent(key, _ADAPTERS))
    elif kind == "nats_stream":
        collector.refuse("adapter-type", "NATS Streaming Server is retired", remedy, at)
    elif kind not in _TYPES:
        collector.refuse("adapter-type", "no such type of adapter", remedy, at)


def check_federation(context: Context) -> None:
    """Look at the settings of a federation broker that is about to run."""
    values = context.values
    check_addresses(context, "plugin.choria.middleware_hosts")
    check_addresses(context, _FEDERATION_HOSTS)
    if not values.items(_FEDERATION_HOSTS) and not values.flag("plugin.choria.use_srv"):
        context.collector.warn(
            "no-federation-hosts",
            "no brokers of the federation are known, and SRV records are off",
            "the federation side cannot connect",
            f"set {_FEDERATION_HOSTS}",
            values.subject(_FEDERATION_HOSTS),
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
    unbuilt += [(f"adapter {name}", values.subject(_ADAPTERS, name)) for name in adapters]
    for what, at in unbuilt:
        problem = f"{what} is not in this version"
        if network:
            remedy = f"remove it from {at.key}, or keep go-choria for it"
            collector.skip("not-in-this-version", problem, "it does not run, the rest does", remedy, at)
        else:
            remedy = "keep go-choria for it, or set plugin.choria.broker_network = true and do without it"
            collector.refuse("not-in-this-version", f"{problem}, and nothing else is on", remedy, at)


def check_addresses(context: Context, key: str) -> None:
    """Refuse addresses of a list that cannot be read."""
    for text in context.values.items(key):
        try:
            parse_endpoint(text)
        except BadValueError as error:
            context.collector.refuse("bad-address", error.problem, error.remedy, context.values.subject(key, text))
