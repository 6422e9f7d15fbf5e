"""What a store has been used for, and whether that fits what it is to be used for now.

A broker that is alone and a member of a cluster keep streams in the same place and mean different things by it: members
delete what their cluster does not know, and agree among themselves on what each stream has. So a broker writes into its
store what it uses it as, and is not started on one that was used as something else, as long as streams would suffer.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.streams.trouble import DAMAGED_BLOCKS
from choria_broker.streams.use import Joined, Use, joined_by, place_of, system_account

STORE = "plugin.choria.network.stream.store"
RECORD = "broker.json"
"""File in the store that says what it is used as."""

_PEERS = "plugin.choria.network.peers"
_IDENTITY = "identity"
_NAMED = 5
_NODE_ID_LENGTH = 8
_NODE_ID_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_MOVE = (
    "move {store} away: this member then gets its copies from the others; streams whose only copy was here are empty "
    "in the cluster, so delete them there (nats stream rm) before you restore them"
)


class Kept(msgspec.Struct, frozen=True):
    """Files of a stream that the engine would have deleted or cut off, or of one of its consumers.

    Attributes:
        path: their directory.
        size: bytes.
    """

    path: Path
    size: int

    @property
    def damaged(self) -> bool:
        """These are damaged files of a stream that is where it was."""
        return self.path.name.endswith(DAMAGED_BLOCKS)


class Contents(msgspec.Struct, frozen=True):
    """What is in a store.

    Attributes:
        streams: account and name of each stream.
        single: those of them that have one copy.
        records: ids of the members by the system account in whose directory a cluster keeps its records; no ids when
            they cannot be read.
        use: what it was used as last, None when that is not written in it.
        kept: what was kept from the engine.
    """

    streams: tuple[tuple[str, str], ...] = ()
    records: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
    use: Use | None = None
    kept: tuple[Kept, ...] = ()
    single: tuple[tuple[str, str], ...] = ()


def node_id(identity: str) -> str:
    """Return what the engine calls a member with this identity in the records of a cluster."""
    digest = hashlib.sha256(identity.encode()).digest()[:_NODE_ID_LENGTH]
    return "".join(_NODE_ID_DIGITS[byte % len(_NODE_ID_DIGITS)] for byte in digest)


def members_in(record: bytes) -> frozenset[str]:
    """Read the ids of the members from the engine's file ``peers.idx``; none when it is damaged."""
    end = 8 + int.from_bytes(record[4:8], "little") * _NODE_ID_LENGTH
    if end > len(record):
        return frozenset()
    starts = range(8, end, _NODE_ID_LENGTH)
    return frozenset(record[start : start + _NODE_ID_LENGTH].decode("ascii", "replace") for start in starts)


def judge(settings: Settings, contents: Contents, *, peers_unknown: bool = False) -> tuple[Finding, ...]:
    """Say what does not fit, and what lies in the store that nobody sees otherwise.

    Args:
        settings: with a store.
        contents: what is in it.
        peers_unknown: name servers did not answer, so that there may be peers that are not known.
    """
    return (*_misfits(settings, contents, peers_unknown=peers_unknown), *_worth_knowing(settings, contents))


def _misfits(settings: Settings, contents: Contents, *, peers_unknown: bool) -> Iterator[Finding]:
    """One thing at most that keeps the broker from starting, the most telling one."""
    members, last = contents.records.get(system_account(settings)), contents.use
    if not contents.streams:
        return
    if not settings.network.cluster.joined:
        if members is not None and not (last and not last.cluster):
            yield _of_cluster(settings, contents, peers_unknown=peers_unknown)
        elif last and (strangers := _not_joined_before(settings, last, frozenset())):
            yield _before_joining(settings, contents, strangers)
    elif members is None:
        yield _before_cluster(settings, contents, "the records of this cluster do not name them")
    elif last and not last.cluster:
        yield _before_cluster(settings, contents, "this broker last used them without peers")
    elif (last and last.identity != settings.identity) or (members and node_id(settings.identity) not in members):
        yield _of_other_broker(settings, last.identity if last else "")
    elif last and not _of_same_cluster(settings, last, members):
        yield _of_other_cluster(settings, last)
    elif last and (strangers := _not_joined_before(settings, last, members)):
        yield _before_joining(settings, contents, strangers)


def _not_joined_before(settings: Settings, last: Use, members: frozenset[str]) -> tuple[Joined, ...]:
    """Tell which brokers elsewhere are new, by their hosts then and by their names in the engine's records."""
    if last.joined is None:
        return ()
    known = {host for each in last.joined for host in each.hosts}
    return tuple(
        each
        for each in joined_by(settings) or ()
        if not any(host in known or node_id(host) in members for host in each.hosts)
    )


def _of_same_cluster(settings: Settings, last: Use, members: frozenset[str]) -> bool:
    """Tell whether some other member is still the same, by its address then or by its name in the engine's records."""
    cluster = settings.network.cluster
    known = any(place_of(route) in last.members or node_id(route.host) in members for route in cluster.routes)
    left_out = any(not host or host in last.members or node_id(host) in members for host in cluster.left_out)
    return known or left_out or not (cluster.routes and last.members)


def _refusal(code: Code, settings: Settings, problem: str, remedy: str, key: str = STORE) -> Finding:
    return report(settings, code, Severity.REFUSE, problem, "", remedy, key)


def report(
    settings: Settings, code: Code, severity: Severity, problem: str, effect: str, remedy: str, key: str = STORE
) -> Finding:
    """Make a finding about the store, or another setting that it depends on."""
    value = settings.identity if key == _IDENTITY else str(settings.network.streams.store)
    return Finding(
        severity=severity,
        code=code,
        problem=problem,
        effect=effect,
        remedy=remedy,
        origin=settings.origin(key),
        key=key,
        value=value,
    )


def _before_cluster(settings: Settings, contents: Contents, why: str) -> Finding:
    problem = (
        f"{len(contents.streams)} streams in the store ({_named(contents.streams)}) cannot be used in a cluster: "
        f"{why}, and members delete streams that their cluster does not know, and messages that the others do not have"
    )
    remedy = (
        f"start once without {_PEERS}, back up what you need with the nats command line, then move "
        f"{settings.network.streams.store} away: this member then gets its copies from the others. If the cluster has "
        "a stream with the name of one that you want to restore, delete it there first (nats stream rm)"
    )
    return _refusal(Code.STREAMS_BEFORE_CLUSTER, settings, problem, remedy)


def _of_cluster(settings: Settings, contents: Contents, *, peers_unknown: bool) -> Finding:
    problem = "the store belongs to a member of a cluster, and this broker has no peers"
    if contents.single:
        only = f"{len(contents.single)} of its {len(contents.streams)} streams ({_named(contents.single)})"
        problem = f"{problem}; {only} have their only copy here, so the cluster is without them"
    if peers_unknown:
        remedy = f"start again once the name servers answer, or set {_PEERS}"
        return _refusal(
            Code.STREAMS_OF_CLUSTER, settings, f"{problem}, because the name servers did not answer", remedy
        )
    effect = "it uses the streams alone, and can no longer start with peers on this store"
    remedy = f"to keep it a member, stop it now, set {_PEERS}, and start it again"
    return report(settings, Code.STREAMS_OF_CLUSTER, Severity.WARN, problem, effect, remedy)


def _of_other_broker(settings: Settings, identity: str) -> Finding:
    whose = identity or "another broker"
    problem = (
        f"the store belongs to {whose}; the cluster finds copies of streams by the broker's identity, so it would "
        "delete the copies here, and streams without another copy would be lost"
    )
    remedy = (
        f"set identity = {identity or 'the previous one'}, or back up the streams with one copy and "
        f"{_MOVE.format(store=settings.network.streams.store)}"
    )
    return _refusal(Code.STREAMS_OF_OTHER_BROKER, settings, problem, remedy, _IDENTITY)


def _of_other_cluster(settings: Settings, last: Use) -> Finding:
    store = settings.network.streams.store
    problem = (
        f"the store belongs to cluster {last.cluster} with {', '.join(last.members[:_NAMED])}, none of which is among "
        "the peers: one of the two clusters would delete the streams of the other"
    )
    remedy = f"{_MOVE.format(store=store)}; if the others only have new names, remove {store}/{RECORD} and start again"
    return _refusal(Code.STREAMS_OF_OTHER_CLUSTER, settings, problem, remedy)


def _before_joining(settings: Settings, contents: Contents, strangers: tuple[Joined, ...]) -> Finding:
    store = settings.network.streams.store
    names = " and ".join(each.name for each in strangers[:_NAMED])
    problem = (
        f"{len(contents.streams)} streams in the store ({_named(contents.streams)}) date from "
        f"before {names}: clusters joined this way share one JetStream, and if both had streams before, "
        "the streams of one cluster are lost"
    )
    leaf = any(each.name.startswith("leafnode") for each in strangers)
    apart = "bind the remote to another account than the system's" if leaf else "join them with leafnodes instead"
    grows = len(strangers) < len(joined_by(settings) or ())
    empty = (
        f"if the stores of {names} are empty, remove {store}/{RECORD} on the members of all clusters that were joined "
        f"before, start these first, and {names} when the streams are there (nats stream ls); otherwise "
    )
    remedy = (
        f"{empty if grows else ''}{apart}, then each keeps its streams; or let one cluster keep its streams: in the "
        f"others back up what you need, and remove {STORE} or move the store away, then remove {store}/{RECORD} on the "
        "members that keep theirs, and start these first"
    )
    return _refusal(Code.STREAMS_BEFORE_JOINING, settings, problem, remedy)


def _worth_knowing(settings: Settings, contents: Contents) -> Iterator[Finding]:
    last, name = contents.use, settings.network.gateway.name
    if contents.streams and last and last.cluster and settings.network.cluster.joined and last.cluster != name:
        problem = f"the name of the cluster was {last.cluster} and is now {name}"
        effect = (
            f"streams work, but copies cannot be added to older ones, which are still placed in {last.cluster}; the "
            "standard streams are placed again when needed"
        )
        remedy = f"for other streams, before you add copies: nats stream edit STREAM --cluster {name}"
        yield report(settings, Code.STREAMS_OF_RENAMED_CLUSTER, Severity.INFO, problem, effect, remedy)
    known = _accounts(settings)
    lost = tuple(each for each in contents.streams if each[0] not in known)
    if lost:
        problem = f"{len(lost)} streams in the store ({_named(lost)}) belong to accounts that have no streams here"
        effect = "they stay as they are, and nobody can reach them"
        remedy = "configure the account again, or move its directory away"
        yield report(settings, Code.STREAMS_OF_NO_ACCOUNT, Severity.WARN, problem, effect, remedy)
    if streams := tuple(each for each in contents.kept if not each.damaged):
        remedy = (
            "move one to jetstream/ACCOUNT/streams/STREAM in the store of a broker without peers that is stopped: "
            "this one, or another to back it up with; or remove what you do not need"
        )
        yield _of_kept(settings, "streams that the engine would have deleted are kept", streams, remedy)
    if blocks := tuple(each for each in contents.kept if each.damaged):
        remedy = "restore what you need from a backup, and remove what you do not need"
        yield _of_kept(
            settings, "copies of damaged files of streams, from before the damage was cut off, are kept", blocks, remedy
        )


def _of_kept(settings: Settings, what: str, kept: tuple[Kept, ...], remedy: str) -> Finding:
    places = ", ".join(str(each.path) for each in kept[:_NAMED])
    more = f" and {len(kept) - _NAMED} more" if len(kept) > _NAMED else ""
    effect = f"they use {sum(each.size for each in kept)} bytes"
    return report(settings, Code.STREAMS_KEPT, Severity.WARN, f"{what} in {places}{more}", effect, remedy)


def _accounts(settings: Settings) -> frozenset[str]:
    """Return the accounts that may have streams, as directories of the engine are called."""
    operator = settings.network.operator
    if operator:
        return frozenset(account.key for account in operator.accounts)
    return frozenset(settings.stream_account_names)


def _named(streams: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{account} > {stream}" for account, stream in streams[:_NAMED])
