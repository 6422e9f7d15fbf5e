"""Subject mappings: which are good, and which of them a subject can meet."""

from __future__ import annotations

from choria_broker.config.resolve import subject_mapping
from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.text.shown_values import shown_name
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.links import SubjectMapping

_NAMES = network_key("mapping.names")


def resolve_mappings(context: Context) -> tuple[SubjectMapping, ...]:
    """Return the mappings that are good and that some subject can meet, in their order.

    Args:
        context: inputs.
    """
    good = [mapping for mapping in (_mapping(context, name) for name in context.distinct(_NAMES)) if mapping]
    return _met(context, _last_of_each_source(context, good))


def _mapping(context: Context, name: str) -> SubjectMapping | None:
    values, collector = context.values, context.collector
    source_key, key = _key(name, "source"), _key(name, "destination")
    source, destination = values.text(source_key), values.text(key)
    missing = [each for each, text in ((source_key, source), (key, destination)) if not text]
    if missing:
        at = values.absent(missing[0], _NAMES)
        collector.skip(Code.BAD_MAPPING, problem="not set", effect=_left_out(name), remedy=f"set {missing[0]}", at=at)
        return None
    problem = subject_mapping.check(source, destination)
    if problem:
        remedy = "correct source or destination"
        collector.skip(Code.BAD_MAPPING, problem=problem, effect=_left_out(name), remedy=remedy, at=values.ref(key))
        return None
    doubt = subject_mapping.doubt(destination)
    if doubt:
        effect, remedy = f"mapping {shown_name(name)} is used unchanged", "correct the destination"
        collector.warn(Code.ODD_MAPPING, problem=doubt, effect=effect, remedy=remedy, at=values.ref(key))
    return SubjectMapping(name=name, source=source, destination=destination)


def _last_of_each_source(context: Context, mappings: list[SubjectMapping]) -> list[SubjectMapping]:
    """Keep one mapping for each source: the last one, in the place of the first, as nats-server does."""
    kept: dict[str, SubjectMapping] = {}
    for mapping in mappings:
        replaced = kept.get(mapping.source)
        if replaced:
            problem = f"mapping {mapping.name} has the same source, and a source can have only one destination"
            effect = f"mapping {mapping.name} replaces mapping {replaced.name}"
            at = context.values.ref(_key(replaced.name, "source"))
            context.collector.warn(Code.REPEATED_MAPPING, problem=problem, effect=effect, at=at)
        kept[mapping.source] = mapping
    return list(kept.values())


def _met(context: Context, mappings: list[SubjectMapping]) -> tuple[SubjectMapping, ...]:
    """Leave out what no subject can meet, because an earlier mapping takes all of them."""
    met: list[SubjectMapping] = []
    sources = subject_mapping.Sources()
    for mapping in mappings:
        hiding = sources.covering(mapping.source)
        if hiding:
            name, source = hiding
            at = context.values.ref(_key(mapping.name, "source"))
            problem = f"mapping {name} with source {source} already matches all its subjects"
            remedy = f"put {mapping.name} before {name} in {_NAMES}, or remove it"
            context.collector.warn(
                Code.UNREACHABLE_MAPPING, problem=problem, effect=_left_out(mapping.name), remedy=remedy, at=at
            )
        else:
            met.append(mapping)
            sources.add(mapping.source, mapping.name)
    return tuple(met)


def _key(name: str, part: str) -> str:
    return network_key(f"mapping.{name}.{part}")


def _left_out(name: str) -> str:
    return f"mapping {shown_name(name)} is ignored"
