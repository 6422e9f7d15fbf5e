"""Adapters: what each reads, where it publishes, and what keeps one out."""

from __future__ import annotations

from choria_broker.access.subjects import is_literal, is_subject
from choria_broker.config.resolve.companion_sides import Sides, bridge, check_addresses, endpoints, fits
from choria_broker.config.resolve.context import Context
from choria_broker.config.table.rows import BROKER_SETTINGS
from choria_broker.config.text.collector import Collector, SettingRef
from choria_broker.config.text.shown_values import shown_name
from choria_broker.settings.companions import Adapter
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding

_TYPES = ("choria_streams", "jetstream")
_LIST = "plugin.choria.adapters"
_FAMILY = "plugin.choria.adapter."
_NUMBERS = ("queue_len", "ingest.workers", "stream.workers")
_ROWS = {row.key: row for row in BROKER_SETTINGS}
_MOST = {name: _ROWS[f"{_FAMILY}NAME.{name}"].most for name in _NUMBERS}
_CODES = frozenset({Code.ADAPTER_TYPE, Code.ADAPTER_WITHOUT_TYPE, Code.ADAPTER_WITHOUT_TOPIC, Code.ADAPTER_SUBJECT})
_KEYS = frozenset(
    {
        _LIST,
        "plugin.choria.broker_federation",
        "plugin.choria.federation_middleware_hosts",
        "plugin.choria.middleware_hosts",
    }
)
_FAMILIES = (_FAMILY, "plugin.choria.federation.", "plugin.nats.")


def resolve_adapters(context: Context, sides: Sides, *, network: bool) -> tuple[Adapter, ...]:
    """Return the adapters that are to run; a finding keeps the others out.

    Args:
        context: inputs.
        sides: makes the sides.
        network: the network broker runs in the process, and they are connected to it.
    """
    made = (_Reading(context, sides, name, network=network).adapter() for name in context.distinct(_LIST))
    return tuple(adapter for adapter in made if adapter)


class _Reading:
    """Reads one adapter."""

    def __init__(self, context: Context, sides: Sides, name: str, *, network: bool) -> None:
        self._context, self._sides, self._name, self._network = context, sides, name, network
        self._prefix = f"{_FAMILY}{name}."
        self._good = True

    def adapter(self) -> Adapter | None:
        """Return it, None when a finding keeps it out."""
        values, prefix = self._context.values, self._prefix
        self._check_name()
        self._check_type()
        topic, target = self._topic(), self._target()
        queue, ingest_workers, output_workers = map(self._number, _NUMBERS)
        servers = prefix + "stream.servers"
        self._good = check_addresses(self._context, servers) and self._good
        if not self._network:
            self._good = check_addresses(self._context, "plugin.choria.middleware_hosts") and self._good
        if not self._good:
            return None
        hosts = endpoints(self._context, servers)
        inside = bridge if self._network else self._sides.middleware
        return Adapter(
            name=self._name,
            topic=topic,
            request=values.text(prefix + "ingest.protocol") == "request",
            ingest_workers=ingest_workers,
            output_workers=output_workers,
            queue=queue,
            target=target,
            ingest=inside("ingest"),
            output=self._sides.outside("output", hosts) if hosts else inside("output"),
        )

    def _refuse(self, code: Code, problem: str, remedy: str, at: SettingRef) -> None:
        self._good = False
        self._context.collector.refuse(code, problem=problem, remedy=remedy, at=at)

    def _check_name(self) -> None:
        if not is_literal(self._name) or not fits(self._name):
            at = self._context.values.ref(_LIST, self._name)
            problem = f"the name {shown_name(self._name)} cannot be part of a subject"
            self._refuse(Code.ADAPTER_SUBJECT, problem, "use only letters, digits, - and _", at)

    def _topic(self) -> str:
        key, values = self._prefix + "ingest.topic", self._context.values
        topic = values.text(key)
        if not topic:
            at = values.absent(key, _LIST)
            self._refuse(Code.ADAPTER_WITHOUT_TOPIC, "not set", f"set {key} to the subject to read", at)
        elif not is_subject(topic) or not fits(topic):
            remedy = "write one subject, such as mcollective.broadcast.agent.registration"
            self._refuse(Code.ADAPTER_SUBJECT, "not a subject", remedy, values.ref(key))
        return topic

    def _target(self) -> str:
        key, values = self._prefix + "stream.topic", self._context.values
        target = values.text(key) or self._name
        if values.text(key) and not (is_literal(target.replace("%s", "sender")) and fits(target)):
            remedy = "write one subject without wildcards, with %s in place of the sender's name"
            self._refuse(Code.ADAPTER_SUBJECT, "not a subject to publish to", remedy, values.ref(key))
        return target

    def _number(self, name: str) -> int:
        key, values = self._prefix + name, self._context.values
        number, most = values.number(key), _MOST[name]
        if values.is_bad(key):
            self._good = False
        elif not 0 < number <= most:
            problem, remedy = (
                ("not above zero", "write 1 or more") if number <= 0 else (f"above {most}", f"write {most} or less")
            )
            self._refuse(Code.BAD_VALUE, problem, remedy, values.ref(key))
        return number

    def _check_type(self) -> None:
        values, key = self._context.values, self._prefix + "type"
        if not values.given(key) and values.given(self._prefix + "stream.type"):
            older = self._prefix + "stream.type"
            self._context.collector.warn(
                Code.ALIAS_KEY,
                problem=f"an older name of {key}",
                effect="it is used, although go-choria does not read it",
                remedy=f"write {key}",
                at=values.ref(older),
            )
            key = older
        kind, at, remedy = values.text(key), values.ref(key), f"write {_TYPES[0]}"
        if not kind:
            absent = values.absent(key, _LIST)
            self._refuse(Code.ADAPTER_WITHOUT_TYPE, "not set", f"set {key} = {_TYPES[0]}", absent)
        elif kind == "nats_stream":
            self._refuse(Code.ADAPTER_TYPE, "NATS Streaming Server is retired", remedy, at)
        elif kind not in _TYPES:
            self._refuse(Code.ADAPTER_TYPE, "no such type of adapter", remedy, at)


def spare_the_rest(collector: Collector, *, companions: bool) -> None:
    """Have what keeps out an adapter or the federation broker leave out that one, for a network broker runs anyway.

    Args:
        collector: holds the findings of reading and resolving.
        companions: there are to be adapters or a federation broker; else nobody misses anything.
    """
    if companions:
        collector.soften(
            _is_theirs,
            Severity.SKIP,
            "the adapters or the federation broker that need it are not started; everything else runs",
        )
    else:
        collector.soften(_is_theirs, Severity.WARN, "it has no effect: there are no adapters and no federation broker")


def _is_theirs(finding: Finding) -> bool:
    return finding.code in _CODES or finding.key in _KEYS or finding.key.startswith(_FAMILIES)
