"""Choria Streams: the store, the standard streams, how often data reach the disk."""

from __future__ import annotations

from choria_broker.config.context import Context, network_key
from choria_broker.config.resolve_links import MOST_PEERS
from choria_broker.config.settings import Cluster, Gateway, Leafnodes, StandardStream, Streams
from choria_broker.config.values import BadValueError, duration

_PREFIX = network_key("stream.")
_STORE = _PREFIX + "store"
_MANAGE = _PREFIX + "manage_streams"
_SYNC = _PREFIX + "sync"
_ELECTION_TTL = _PREFIX + "leader_election_ttl"
_PEERS = network_key("peers")

_SHORTEST_AGE = 0.1
"""Seconds; the engine takes no shorter age than this."""
_SHORTEST_TTL, _LONGEST_TTL = 1.0, 3600.0
"""Seconds that clients of elections accept."""
_HASTY_TTL, _SLUGGISH_TTL = 5.0, 60.0
_SHORTEST_SYNC = 0.01
_ENGINES_SYNC = 120.0
"""Seconds between writes to disk when nothing is set."""
_SYNC_REMEDY = "write default, always, or a time such as 10s"


def resolve_streams(context: Context, cluster: Cluster, gateway: Gateway, leafnodes: Leafnodes) -> Streams:
    """Decide everything about Choria Streams.

    Args:
        context: inputs.
        cluster: the cluster this broker is in.
        gateway: its gateways.
        leafnodes: its leafnodes.
    """
    values = context.values
    store = values.path(_STORE)
    if store is None:
        _report_without_store(context)
        return Streams()
    if context.facts.store_problem:
        remedy = "create the directory, and let the broker's user write in it"
        context.collector.refuse("store-not-writable", context.facts.store_problem, remedy, values.subject(_STORE))
    streams = Streams(
        store,
        values.flag(_MANAGE),
        _stream(context, "event", cluster),
        _stream(context, "machine", cluster),
        _stream(context, "advisory", cluster),
        _stream(context, "executor", cluster),
        StandardStream(_election_ttl(context), _replicas(context, "leader_election", cluster)),
        _sync(context),
    )
    _hint_at_odd_copies(context, streams, cluster)
    _check_cluster(context, cluster, gateway, leafnodes)
    return streams


def _report_without_store(context: Context) -> None:
    for key in context.values.set_keys():
        if key.startswith(_PREFIX) and context.values.given(key):
            effect, remedy = "it has no effect", f"set {_STORE} to turn Streams on, or remove it"
            at = context.values.subject(key)
            context.collector.info("no-effect", f"{_STORE} is not set, Choria Streams are off", effect, remedy, at)


def _stream(context: Context, name: str, cluster: Cluster) -> StandardStream:
    key = f"{_PREFIX}{name}_retention"
    seconds = context.values.seconds(key)
    if 0 < seconds < _SHORTEST_AGE:
        remedy = "write 100ms or more, or 0 to leave the stream alone"
        context.collector.refuse("bad-value", "shorter than 100ms", remedy, context.values.subject(key))
    return StandardStream(seconds, _replicas(context, name, cluster))


def _replicas(context: Context, name: str, cluster: Cluster) -> int:
    key, collector = f"{_PREFIX}{name}_replicas", context.collector
    replicas, at, peers = context.values.number(key), context.values.subject(key), len(cluster.peers)
    if replicas == 0 or replicas < -1:
        remedy = "write 1 to 5, or -1 for one copy on each peer"
        collector.refuse("bad-value", "not a number of copies", remedy, at)
    elif replicas > MOST_PEERS:
        effect = f"there are {MOST_PEERS} copies"
        collector.warn("many-replicas", f"more than {MOST_PEERS} copies", effect, f"write {MOST_PEERS}", at)
        replicas = MOST_PEERS
    if replicas > max(1, peers):
        problem, effect = f"more copies than the {peers} known peers", "the stream cannot be created until more join"
        if not peers:
            problem, effect = "more than one copy, and this broker has no peers", "there is one copy"
        collector.warn("more-replicas-than-peers", problem, effect, "write -1, or add peers", at)
    return replicas


def _election_ttl(context: Context) -> float:
    values, collector = context.values, context.collector
    seconds, at = values.seconds(_ELECTION_TTL), values.subject(_ELECTION_TTL)
    if not _SHORTEST_TTL <= seconds <= _LONGEST_TTL:
        problem, remedy = "no time that clients of elections accept", "write a time from 1s to 1h; 1m is usual"
        collector.refuse("bad-value", problem, remedy, at)
    elif seconds > _SLUGGISH_TTL:
        effect = "a leader that is gone is replaced only after that time"
        collector.warn("election-ttl", "longer than a minute", effect, "write 1m or less", at)
    elif seconds < _HASTY_TTL:
        effect = "a short fault of the network costs a leader its place"
        collector.warn("election-ttl", "shorter than 5 seconds", effect, "write 5s or more", at)
    return seconds


def _hint_at_odd_copies(context: Context, streams: Streams, cluster: Cluster) -> None:
    peers = min(len(cluster.peers), MOST_PEERS)
    each = (streams.events, streams.machine, streams.advisories, streams.executor, streams.leader_election)
    if streams.manage and peers and peers % 2 == 0 and any(stream.replicas < 0 < stream.retention for stream in each):
        context.collector.info(
            "even-replicas",
            f"streams have one copy on each of the {peers} peers",
            f"they stand the loss of {peers // 2 - 1} of them, as {peers - 1} copies would",
            "an odd number of peers is better; nothing has to be done",
            context.values.subject(_PEERS if context.values.given(_PEERS) else _STORE),
        )


def _sync(context: Context) -> float | None:
    seconds = context.parse(_SYNC, _read_sync, None)
    if seconds is not None and seconds > _ENGINES_SYNC:
        problem, effect = "longer than the engine's own 2 minutes", "a power failure loses more messages"
        context.collector.warn("slow-sync", problem, effect, _SYNC_REMEDY, context.values.subject(_SYNC))
    return seconds


def _read_sync(text: str) -> float | None:
    """Read the setting: None for the engine's own choice, 0 for every message, else seconds.

    Raises:
        BadValueError: neither a word nor a time, or too short a time.
    """
    if text == "default":
        return None
    if text == "always":
        return 0.0
    try:
        seconds = duration(text)
    except BadValueError as error:
        raise BadValueError(error.problem, _SYNC_REMEDY) from None
    if seconds < _SHORTEST_SYNC:
        raise BadValueError("shorter than 10ms", _SYNC_REMEDY)
    return seconds


def _check_cluster(context: Context, cluster: Cluster, gateway: Gateway, leafnodes: Leafnodes) -> None:
    """Refuse what the engine refuses only when it starts: Streams in a cluster that has no other member."""
    by_leafnode = any(remote.account == "system" for remote in leafnodes.remotes)
    if cluster.routes or by_leafnode:
        return
    if gateway.remotes:
        context.collector.refuse(
            "gateway-streams-without-peers",
            "Choria Streams with gateways need a cluster of at least two members",
            f"list this broker and one more in {_PEERS}, or remove {_STORE}",
            context.values.subject(_STORE),
        )
    elif cluster.peers:
        context.collector.refuse(
            "streams-alone-in-cluster",
            "Choria Streams need a second member in the cluster, and this broker is its only peer",
            f"add the others to {_PEERS}, or remove it for a broker that stays alone",
            context.values.subject(_PEERS if context.values.given(_PEERS) else _STORE),
        )
