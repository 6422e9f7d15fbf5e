"""Choria Streams: the store, the standard streams, how often data reach the disk."""

from __future__ import annotations

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.links import MOST_PEERS
from choria_broker.config.resolve.peers import peers_subject
from choria_broker.config.resolve.plain import plain
from choria_broker.config.text.values import BadValueError, duration
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.links import Cluster, Gateway, Leafnodes
from choria_broker.settings.streams import BROKER_EVENTS, EVENTS, STANDARD_STREAMS, StandardStream, Streams
from choria_broker.values import replace

_PREFIX = network_key("stream.")
_STORE = _PREFIX + "store"
_SYNC = _PREFIX + "sync"
_PUBLISHED = network_key("publish_events")
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
    if not values.text(_STORE):
        _report_without_store(context)
        _hint_at_events(context, kept=False)
        return Streams()
    if context.facts.store_problem:
        remedy = "create the directory, and give the broker's user write access to it"
        context.collector.refuse(
            Code.STORE_NOT_WRITABLE, problem=context.facts.store_problem, remedy=remedy, at=values.ref(_STORE)
        )
    streams = Streams(
        **plain(context, Streams),
        standard=tuple(_stream(context, each, cluster) for each in STANDARD_STREAMS),
        sync=_sync(context),
    )
    _hint_at_odd_copies(context, streams, cluster)
    _check_cluster(context, cluster, gateway, leafnodes)
    events = next(each for each in streams.standard if each.name == EVENTS)
    _hint_at_events(context, kept=streams.manage and events.retention > 0)
    return streams


def _report_without_store(context: Context) -> None:
    for key in context.values.set_keys():
        if key.startswith(_PREFIX) and context.values.given(key):
            effect, remedy = "it has no effect", f"set {_STORE} to turn Streams on, or remove it"
            at = context.values.ref(key)
            context.collector.info(
                Code.NO_EFFECT,
                problem=f"{_STORE} is not set, so Choria Streams are off",
                effect=effect,
                remedy=remedy,
                at=at,
            )


def _stream(context: Context, stream: StandardStream, cluster: Cluster) -> StandardStream:
    key, read = _PREFIX + stream.retention_key, _election_ttl if stream.elects else _retention
    replicas = _PREFIX + stream.replicas_key
    subjects = stream.subjects
    if stream.name == EVENTS and context.values.flag(_PUBLISHED):
        subjects = (*subjects, BROKER_EVENTS)
    return replace(
        stream,
        subjects=subjects,
        retention=read(context, key),
        replicas=_replicas(context, replicas, cluster),
    )


def _hint_at_events(context: Context, *, kept: bool) -> None:
    if context.values.flag(_PUBLISHED) and not kept:
        context.collector.info(
            Code.EVENTS_NOT_KEPT,
            problem=f"this broker does not keep the stream {EVENTS}",
            effect="only programs that are subscribed at that moment receive the events",
            at=context.values.ref(_PUBLISHED),
        )


def _retention(context: Context, key: str) -> float:
    seconds = context.values.seconds(key)
    if 0 < seconds < _SHORTEST_AGE:
        remedy = "write 100ms or more, or 0 to turn the stream off"
        context.collector.refuse(
            Code.BAD_VALUE, problem="shorter than 100ms", remedy=remedy, at=context.values.ref(key)
        )
    return seconds


def _replicas(context: Context, key: str, cluster: Cluster) -> int:
    collector = context.collector
    replicas, at, peers = context.values.number(key), context.values.ref(key), cluster.size
    if replicas == 0 or replicas < -1:
        remedy = "write 1 to 5, or -1 for one copy on each peer"
        collector.refuse(Code.BAD_VALUE, problem="not a number of copies", remedy=remedy, at=at)
    elif replicas > MOST_PEERS:
        effect = f"the stream has {MOST_PEERS} copies"
        collector.warn(
            Code.MANY_REPLICAS,
            problem=f"more than {MOST_PEERS} copies",
            effect=effect,
            remedy=f"write {MOST_PEERS}",
            at=at,
        )
        replicas = MOST_PEERS
    if replicas > max(1, peers):
        problem, effect = (
            f"more copies than the {peers} known peers",
            "the stream cannot be created until more members join",
        )
        if not peers:
            problem, effect = "more than one copy, but this broker has no peers", "the stream has one copy"
        collector.warn(Code.MORE_REPLICAS_THAN_PEERS, problem=problem, effect=effect, at=at)
    return replicas


def _election_ttl(context: Context, key: str) -> float:
    values, collector = context.values, context.collector
    seconds, at = values.seconds(key), values.ref(key)
    if not _SHORTEST_TTL <= seconds <= _LONGEST_TTL:
        problem, remedy = "outside the range that election clients accept", "write a time from 1s to 1h; 1m is usual"
        collector.refuse(Code.BAD_VALUE, problem=problem, remedy=remedy, at=at)
    elif seconds > _SLUGGISH_TTL:
        effect = "a failed leader is replaced only after that time"
        collector.warn(
            Code.ELECTION_TTL, problem="longer than a minute", effect=effect, remedy="write 1m or less", at=at
        )
    elif seconds < _HASTY_TTL:
        effect = "a short network problem costs a leader its role"
        collector.warn(
            Code.ELECTION_TTL, problem="shorter than 5 seconds", effect=effect, remedy="write 5s or more", at=at
        )
    return seconds


def _hint_at_odd_copies(context: Context, streams: Streams, cluster: Cluster) -> None:
    peers = min(cluster.size, MOST_PEERS)
    spread = any(each.replicas < 0 < each.retention for each in streams.standard)
    if streams.manage and peers and peers % 2 == 0 and spread:
        context.collector.info(
            Code.EVEN_REPLICAS,
            problem=f"streams have one copy on each of the {peers} peers",
            effect=f"they survive the loss of {peers // 2 - 1} of them, just as {peers - 1} copies would",
            at=peers_subject(context, cluster.source),
        )


def _sync(context: Context) -> float | None:
    seconds = context.parse(_SYNC, _read_sync, None)
    if seconds is not None and seconds > _ENGINES_SYNC:
        problem, effect = "longer than the engine's own 2 minutes", "a power failure loses more messages"
        context.collector.warn(
            Code.SLOW_SYNC, problem=problem, effect=effect, remedy=_SYNC_REMEDY, at=context.values.ref(_SYNC)
        )
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
    if cluster.routes or cluster.unreachable or by_leafnode:
        return
    if gateway.enabled:
        context.collector.refuse(
            Code.GATEWAY_STREAMS_WITHOUT_PEERS,
            problem="Choria Streams with gateways need a cluster of at least two members",
            remedy=f"list this broker and one more in {_PEERS}, or remove {_STORE}",
            at=context.values.ref(_STORE),
        )
    elif cluster.joined:
        context.collector.refuse(
            Code.STREAMS_ALONE_IN_CLUSTER,
            problem="Choria Streams need a second member in the cluster, and this broker is its only peer",
            remedy=f"add the others to {_PEERS}, or remove it for a single broker",
            at=peers_subject(context, cluster.source),
        )
