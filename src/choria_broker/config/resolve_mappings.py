"""Subject mappings: which are good, and which of them a subject can meet."""

from __future__ import annotations

from choria_broker.config import subject_mapping
from choria_broker.config.context import Context, network_key
from choria_broker.config.settings import SubjectMapping

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
        collector.skip("bad-mapping", "not set", _left_out(name), f"set {missing[0]}", at)
        return None
    problem = subject_mapping.check(source, destination)
    if problem:
        remedy = "correct source or destination"
        collector.skip("bad-mapping", problem, _left_out(name), remedy, values.subject(key))
        return None
    doubt = subject_mapping.doubt(destination)
    if doubt:
        effect, remedy = f"mapping {name} is used as it is", "correct the destination"
        collector.warn("odd-mapping", doubt, effect, remedy, values.subject(key))
    return SubjectMapping(name, source, destination)


def _last_of_each_source(context: Context, mappings: list[SubjectMapping]) -> list[SubjectMapping]:
    """Keep one mapping for each source: the last one, in the place of the first, as nats-server does."""
    kept: dict[str, SubjectMapping] = {}
    for mapping in mappings:
        replaced = kept.get(mapping.source)
        if replaced:
            problem = f"mapping {mapping.name} has the same source, and a source has one destination"
            effect, remedy = (
                f"mapping {mapping.name} takes the place of mapping {replaced.name}",
                "remove one of the two",
            )
            at = context.values.subject(_key(replaced.name, "source"))
            context.collector.warn("repeated-mapping", problem, effect, remedy, at)
        kept[mapping.source] = mapping
    return list(kept.values())


def _met(context: Context, mappings: list[SubjectMapping]) -> tuple[SubjectMapping, ...]:
    """Leave out what no subject can meet, because an earlier mapping takes all of them."""
    met: list[SubjectMapping] = []
    for mapping in mappings:
        at = context.values.subject(_key(mapping.name, "source"))
        hiding = next((each for each in met if subject_mapping.covers(each.source, mapping.source)), None)
        if hiding:
            problem = f"mapping {hiding.name} with source {hiding.source} takes all its subjects first"
            remedy = f"put {mapping.name} before {hiding.name} in {_NAMES}, or remove it"
            context.collector.warn("unreachable-mapping", problem, _left_out(mapping.name), remedy, at)
        else:
            met.append(mapping)
    return tuple(met)


def _key(name: str, part: str) -> str:
    return network_key(f"mapping.{name}.{part}")


def _left_out(name: str) -> str:
    return f"mapping {name} is left out"
