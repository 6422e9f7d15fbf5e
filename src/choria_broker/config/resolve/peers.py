"""Who the members of the cluster are, from DNS or from the setting, and which of them is this broker."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.remotes import report_dropped_parts
from choria_broker.config.surroundings.facts import SrvAnswer
from choria_broker.config.text.addresses import endpoint_of, host_in, parse_endpoint
from choria_broker.config.text.collector import SettingRef
from choria_broker.config.text.reading import Values
from choria_broker.config.text.values import BadValueError
from choria_broker.settings import hostnames
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import Origin
from choria_broker.values import replace
from choria_broker.wording import short

PEERS = network_key("peers")
BY_SETTING = "setting"
"""Source of peers that DNS did not name."""

_PEER_PORT = network_key("peer_port")
_SRV_DOMAIN = "plugin.choria.srv_domain"
_NO_SERVICE = "."
"""Target of a record which says that there is no such service (RFC 2782)."""
_Read = tuple[str, Endpoint | None, BadValueError | None]
_LEFT_OUT = "it is ignored, and the others are used"
_WAITS = "it is ignored; this broker stays a member of its cluster and waits for the others at its peer port"
_ALONE = "only peers from the configuration are used"
_NAMED = 10


class BadPeer(msgspec.Struct, frozen=True):
    """A member with an address that cannot be used.

    Attributes:
        text: the address as it is written, in DNS ``host:port``.
        host: its host, empty when not even that can be read.
        problem, remedy: what is wrong, and what to write instead.
    """

    text: str
    host: str
    problem: str
    remedy: str


class SrvTargets(msgspec.Struct, frozen=True):
    """Targets of an SRV answer.

    Attributes:
        good: those that can be connected to, once each. Sorted, so that the random order of equal records does not look
            like a change at reload.
        bad: the others, sorted by their texts.
        refused: the record says that there is no such service.
    """

    good: tuple[Endpoint, ...] = ()
    bad: tuple[BadPeer, ...] = ()
    refused: bool = False


def srv_targets(srv: SrvAnswer) -> SrvTargets:
    """Sort the targets of an answer into those that can be used and the others."""
    hosts = {host for host, _ in srv.targets}
    if hosts == {_NO_SERVICE}:
        return SrvTargets(refused=True)
    good: set[Endpoint] = set()
    bad: dict[str, BadPeer] = {}
    for host, port in srv.targets:
        try:
            good.add(endpoint_of(host, port))
        except BadValueError as error:
            text = f"{host}:{port}"
            known = hostnames.canonical(host) if hostnames.is_host(host) else ""
            bad[text] = BadPeer(text, known, error.problem, "correct the record in DNS")
    by_place = sorted(good, key=lambda peer: (peer.host, peer.port))
    return SrvTargets(tuple(by_place), tuple(bad[text] for text in sorted(bad)))


def peer_hosts(values: Values, srv: SrvAnswer | None) -> tuple[str, ...]:
    """Return the hosts of the peers, to find out which of them is this machine."""
    targets = srv_targets(srv) if srv else SrvTargets()
    read = () if targets.good else _readable(values.items(PEERS))
    hosts = [peer.host for peer in targets.good] + [peer.host if peer else host_in(text) for text, peer, _ in read]
    if targets.good or not read:
        hosts += [bad.host for bad in targets.bad]
    return tuple(dict.fromkeys(filter(None, hosts)))


class Members(msgspec.Struct, frozen=True):
    """The cluster.

    Attributes:
        peers: every member.
        routes: those to connect to: all but this broker, as far as it is known which that is.
        source: ``setting``, the name of the SRV record, or nothing when there are no peers.
        left_out: hosts of further members that are listed with an address that cannot be used, empty where unknown.
        itself_left_out: this broker is listed with such an address only.
        neighbours: routes to other ports of this host.
    """

    peers: tuple[Endpoint, ...] = ()
    routes: tuple[Endpoint, ...] = ()
    source: str = ""
    left_out: tuple[str, ...] = ()
    itself_left_out: bool = False
    neighbours: tuple[Endpoint, ...] = ()


def peers_subject(context: Context, source: str) -> SettingRef:
    """Return what a finding about the list of peers is about: the record when DNS has it, else the setting."""
    if source in ("", BY_SETTING):
        return context.values.ref(PEERS)
    return replace(_srv_subject(context), shown="", origin=Origin(f"SRV record {source}"))


def resolve_peers(context: Context, port: int) -> Members:
    """Decide who the peers are, DNS first, and which of them to connect to.

    A broker with peers is a member of a cluster, also when none of their addresses can be used: alone, it would leave
    its cluster, and what streams it held with it.

    Args:
        context: inputs.
        port: the peer port of this broker.
    """
    configured, bad = _configured(context)
    targets = _from_srv(context, others=bool(configured or bad))
    if targets.good or (targets.bad and not configured and not bad):
        record = context.facts.srv.record if context.facts.srv else ""
        members = _members(context, targets.good, targets.bad, record, port)
        _report_bad_targets(context, record, targets.bad, _LEFT_OUT if members.routes else _WAITS)
        _report_bad(context, bad, _LEFT_OUT)
        if targets.good:
            _report_source(context, targets.good, configured)
        return members
    if not configured and not bad:
        return Members()
    members = _members(context, configured, bad, BY_SETTING, port)
    _report_bad(context, bad, _LEFT_OUT if members.routes else _WAITS)
    return members


def _members(context: Context, peers: tuple[Endpoint, ...], bad: Sequence[BadPeer], source: str, port: int) -> Members:
    at = peers_subject(context, source)
    own = _own(context, peers, port, at)
    _warn_of_repeats(context, peers, at)
    left_out = [each.host for each in bad]
    itself = None if own else next((host for host in left_out if _is_this_host(context, host)), None)
    if itself is not None:
        left_out.remove(itself)
    elif not own:
        _warn_of_absence(context, port, at)
    routes = tuple(peer for peer in peers if peer not in own)
    neighbours = tuple(peer for peer in routes if _is_this_host(context, peer.host))
    return Members(peers, routes, source, tuple(left_out), itself is not None, neighbours)


def _is_this_host(context: Context, host: str) -> bool:
    local = any(address in context.facts.local_addresses for address in context.facts.addresses.get(host, ()))
    return bool(host) and (local or hostnames.same(host, context.identity))


def _report_bad(context: Context, bad: Sequence[BadPeer], effect: str) -> None:
    for each in bad:
        at = context.values.ref(PEERS, each.text)
        context.collector.skip(Code.BAD_PEER, problem=each.problem, effect=effect, remedy=each.remedy, at=at)


def _report_source(context: Context, found: tuple[Endpoint, ...], configured: tuple[Endpoint, ...]) -> None:
    record = context.facts.srv.record if context.facts.srv else ""
    named = [short(peer.authority) for peer in found]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    effect = f"the peers are {', '.join(named[:_NAMED])}{more}"
    places = {(peer.host, peer.port) for peer in found}
    if configured and places != {(peer.host, peer.port) for peer in configured}:
        problem, effect = f"the SRV record {record} names other peers", f"{effect}; {PEERS} is ignored"
        remedy = f"correct the record, remove {PEERS}, or set plugin.choria.use_srv = false"
        context.collector.warn(
            Code.SRV_OVERRIDES_PEERS, problem=problem, effect=effect, remedy=remedy, at=context.values.ref(PEERS)
        )
    else:
        problem = f"found the SRV record {record}"
        context.collector.info(Code.SRV_PEERS, problem=problem, effect=effect, at=_srv_subject(context))


def _own(context: Context, peers: tuple[Endpoint, ...], port: int, at: SettingRef) -> list[Endpoint]:
    """Return the entries that are this broker, and report what about the others is worth knowing."""
    named = [peer for peer in peers if hostnames.same(peer.host, context.identity)]
    own = [peer for peer in named if peer.port == port]
    if named and not own:
        own = named
        _warn_of_other_port(context, named[0], port, at)
    unknown: list[str] = []
    for peer in peers:
        addresses = context.facts.addresses.get(peer.host, ())
        if not addresses and peer not in named:
            unknown.append(peer.authority)
        if peer.port == port and any(address in context.facts.local_addresses for address in addresses):
            own.append(peer)
    _report_unknown(context, unknown, at)
    return own


def _report_unknown(context: Context, unknown: Sequence[str], at: SettingRef) -> None:
    effect, remedy = "the engine keeps trying", "check its name in DNS or in the hosts file"
    for text in unknown:
        problem = f"peer {short(text)} cannot be resolved"
        context.collector.info(Code.PEER_UNRESOLVABLE, problem=problem, effect=effect, remedy=remedy, at=at)


def _warn_of_repeats(context: Context, peers: Sequence[Endpoint], at: SettingRef) -> None:
    """Report entries all of whose addresses are those of another entry with the same port.

    A name with the addresses of several members repeats none of them, so those with most addresses come first.
    """
    first: dict[tuple[str, int], Endpoint] = {}
    found = context.facts.addresses
    repeats: dict[Endpoint, Endpoint] = {}
    for peer in sorted(peers, key=lambda each: -len(found.get(each.host, ()))):
        places = [(address, peer.port) for address in found.get(peer.host, ())]
        holders = {first.setdefault(place, peer) for place in places}
        if len(holders) == 1 and peer not in holders:
            repeats[peer] = holders.pop()
    for peer in filter(repeats.__contains__, peers):
        problem = f"peers {short(repeats[peer].authority)} and {short(peer.authority)} are the same address and port"
        effect = "it counts as one member once it answers, but as two peers for the number of stream copies"
        remedy = "remove one of the two, on every member"
        context.collector.warn(Code.REPEATED_PEER, problem=problem, effect=effect, remedy=remedy, at=at)


def _warn_of_other_port(context: Context, peer: Endpoint, port: int, at: SettingRef) -> None:
    problem = f"the list of peers has this broker as {short(peer.authority)}, but its peer port is {port}"
    effect = "it is treated as this broker, and the other members connect to the wrong port"
    remedy = f"set {_PEER_PORT} = {peer.port}, or correct the port of {peer.host} on every member"
    context.collector.warn(Code.PEER_PORT_DIFFERS, problem=problem, effect=effect, remedy=remedy, at=at)


def _warn_of_absence(context: Context, port: int, at: SettingRef) -> None:
    problem = f"no peer in the list can be identified as this broker, {context.identity} with peer port {port}"
    effect = (
        "one of them is assumed to be this broker until the cluster shows which: a member that has been "
        "missing since the start may be taken for this broker, and is then not reported as missing"
    )
    remedy = (
        "nothing to do if the list has this broker under another name, as behind NAT or for a headless service; "
        f"otherwise add {context.identity}:{port} to the list, on every member"
    )
    context.collector.warn(Code.NOT_IN_PEERS, problem=problem, effect=effect, remedy=remedy, at=at)


def _from_srv(context: Context, *, others: bool) -> SrvTargets:
    """Return what DNS says; others: there is a list to fall back on."""
    facts, collector, at = context.facts, context.collector, _srv_subject(context)
    srv = facts.srv
    if facts.no_domain:
        problem = "there is no domain in which to look up SRV records"
        remedy = "set plugin.choria.srv_domain, or plugin.choria.use_srv = false"
        collector.info(Code.NO_SRV_DOMAIN, problem=problem, effect=_ALONE, remedy=remedy, at=at)
    if not srv:
        return SrvTargets()
    if srv.problem:
        remedy = "set plugin.choria.use_srv = false if there are no SRV records"
        note = collector.warn if srv.failed else collector.info
        note(
            Code.SRV_LOOKUP_FAILED,
            problem=f"SRV lookup for {srv.record} failed: {srv.problem}",
            effect=_ALONE,
            remedy=remedy,
            at=at,
        )
    targets = srv_targets(srv)
    if targets.refused:
        problem = f"the SRV record {srv.record} says that there is no such service"
        remedy = "correct the record, or set plugin.choria.use_srv = false"
        collector.warn(Code.SRV_NO_SERVICE, problem=problem, effect=_ALONE, remedy=remedy, at=at)
    if targets.bad and not targets.good and others:
        _report_bad_targets(context, srv.record, targets.bad, _ALONE)
    return targets


def _report_bad_targets(context: Context, record: str, bad: Sequence[BadPeer], effect: str) -> None:
    at = peers_subject(context, record)
    for each in bad:
        problem = f"{short(each.text)} is not a usable address: {each.problem}"
        context.collector.skip(Code.BAD_SRV_TARGET, problem=problem, effect=effect, remedy=each.remedy, at=at)


def _srv_subject(context: Context) -> SettingRef:
    """Return the setting that has DNS asked: where to look when it was written, else whether to look at all."""
    values = context.values
    return values.ref(_SRV_DOMAIN if values.given(_SRV_DOMAIN) else "plugin.choria.use_srv")


def _configured(context: Context) -> tuple[tuple[Endpoint, ...], list[BadPeer]]:
    """Return the peers of the setting, and those that cannot be read."""
    values, collector = context.values, context.collector
    peers: dict[tuple[str, int], Endpoint] = {}
    bad: list[BadPeer] = []
    for text, peer, error in _readable(values.items(PEERS)):
        if error:
            bad.append(BadPeer(text, host_in(text), error.problem, error.remedy))
        if not peer:
            continue
        report_dropped_parts(context, PEERS, text, parse_endpoint(text), login_kept=True)
        if (peer.host, peer.port) in peers:
            problem = f"peer {short(peer.authority)} is in the list twice"
            at = values.ref(PEERS, text)
            collector.warn(Code.REPEATED_ITEM, problem=problem, effect="it is used once", at=at)
        peers.setdefault((peer.host, peer.port), peer)
    return tuple(peers.values()), bad


def _readable(texts: Sequence[str]) -> tuple[_Read, ...]:
    """Read every address of a list: each text with its address, or with what is wrong with it."""
    read: list[_Read] = []
    for text in texts:
        try:
            read.append((text, parse_endpoint(text).endpoint, None))
        except BadValueError as error:
            read.append((text, None, error))
    return tuple(read)
