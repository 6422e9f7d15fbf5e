"""What is said about keys that no Choria program has. Their values are never shown: anything may be in them."""

from __future__ import annotations

from choria_broker.config.text.collector import Collector, SettingRef
from choria_broker.config.text.near_misses import Belongs, NearMisses, belongs, fold
from choria_broker.config.text.shown_values import shown_key
from choria_broker.config.text.syntax import Entry
from choria_broker.settings.finding_codes import Code

_IGNORED = "it is ignored"


def report_unknown(entry: Entry, near: NearMisses, collector: Collector) -> None:
    """Warn of a key that is likely a mistake, mention one that may be another program's, be silent about plugins.

    Args:
        entry: the last line with the key.
        near: the known keys.
        collector: receives the finding.
    """
    key = entry.key
    meant, whose = near.meant(key), belongs(key)
    # Of a key that looks like a known one all may be seen; any other may be half of a line without a =.
    at = SettingRef(key if meant and fold(key) == fold(meant) else shown_key(key), "", entry.origin)
    if meant:
        added, whole = _written_whole(key)
        if added and not entry.typed:
            remedy = f"move it to the main file, as {meant}"
        elif whole:
            remedy = f"write {whole} here, which becomes {meant}"
        else:
            remedy = f"did you mean {meant}?"
        problem = f"no such key: {added} is added to each key in this file" if added else "no such key"
        collector.warn(Code.UNKNOWN_KEY, problem=problem, effect=_IGNORED, remedy=remedy, at=at)
    elif whose is Belongs.CHORIA:
        collector.warn(
            Code.UNKNOWN_KEY,
            problem="no such key",
            effect=_IGNORED,
            remedy="look up the key in the list of settings, or remove it",
            at=at,
        )
    elif whose is Belongs.NEAR:
        remedy = "keys of the broker begin with plugin.choria. or plugin.security.: see the list of settings"
        collector.warn(Code.UNKNOWN_KEY, problem="no such key", effect=_IGNORED, remedy=remedy, at=at)
    elif whose is Belongs.NOBODY:
        remedy = "remove it if nothing else reads it"
        collector.info(Code.UNKNOWN_KEY, problem="not a key of the broker", effect=_IGNORED, remedy=remedy, at=at)


def _written_whole(key: str) -> tuple[str, str]:
    """Return what a file of plugin.d added to a key that was written whole, and the key as it belongs there."""
    plugin, _, rest = key.removeprefix("plugin.").partition(".")
    added = f"plugin.{plugin}."
    if not (key.startswith(added) and rest.startswith("plugin.")):
        return "", ""
    return added, rest.removeprefix(added) if rest.startswith(added) else ""
