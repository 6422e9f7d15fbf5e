"""What a running broker keeps of its configuration although the files say something else by now."""

from __future__ import annotations

from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.table.schema import Apply
from choria_broker.config.text.syntax import Document, Entry
from choria_broker.settings.broker import Settings
from choria_broker.settings.served import Served
from choria_broker.values import replace

_IDENTITY = "identity"


def hold(document: Document, served: Served, apply: Apply, *keys: str) -> Document:
    """Return a document in which every setting of a class stands as a running broker serves it.

    Args:
        document: lines in reading order, as they are by now.
        served: what the broker serves.
        apply: the class that the broker cannot change while it runs.
        keys: further settings for which that is so now.
    """

    def is_held(key: str) -> bool:
        return key in keys or _is_of(key, apply)

    kept = [entry for entry in document.entries if not is_held(entry.key)]
    kept += [Entry(key, text, served.origin(key)) for key, text in served.raw.items() if is_held(key)]
    if _IDENTITY not in served.raw:
        # The name of the machine may have changed since.
        kept.append(Entry(_IDENTITY, served.identity, served.origin(_IDENTITY)))
    return Document(tuple(kept), document.dropped)


def alone_or_not(settings: Settings, served: Served) -> bool:
    """Tell whether settings make a member of a cluster of a running broker that is none, or the other way round.

    Its cluster listener is open, or is not, for as long as it runs.
    """
    return served.cluster is not None and settings.network.cluster.joined != served.cluster.joined


def in_its_cluster(settings: Settings, served: Served) -> Settings:
    """Leave a running broker in its cluster, or on its own, whatever DNS has for peers by now."""
    if served.cluster is None or not alone_or_not(settings, served):
        return settings
    network = replace(settings.network, cluster=served.cluster)
    return replace(settings, network=network)


def _is_of(key: str, apply: Apply) -> bool:
    match = SETTINGS.find(key)
    return match is not None and match.setting.apply is apply
