"""How a broker is, line by line, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from choria_broker.companions.reports import CompanionReport
from choria_broker.documentation import HelpKind, help_for
from choria_broker.settings import durations
from choria_broker.stats.links import Link
from choria_broker.status.changes import HealthChange
from choria_broker.status.document import HealthReport, RecentDecision, Status
from choria_broker.status.drains import OFF
from choria_broker.status.streams_now import in_words
from choria_broker.status.words import authorities, counts, moment, provisioning, revocation
from choria_broker.streams.report import Report
from choria_broker.wording import in_bytes

_SHOWN_NAMES = 20
_SHOWN_CHANGES = 5
_NOT_KNOWN = "connection state not known yet"


def _health(told: HealthReport) -> Iterator[str]:
    yield f"Health: {told.sentence}"
    if len(told.reasons) > 1:
        yield from (f"  {reason}" for reason in told.reasons)
    if told.kinds:
        yield f"More: {help_for(HelpKind.HEALTH, told.kinds[0])}"


def lines(found: Status) -> Iterator[str]:
    """Tell everything that the status has."""
    yield f"{found.identity}, process {found.pid}, running since {moment(found.since)}"
    yield from _health(found.health)
    yield from _changes(found.health_changes)
    if found.drain.state != OFF:
        drain = found.drain
        yield f"Drain {drain.plan}, by {drain.by}, since {moment(drain.since)}: {drain.sentence}"
    yield f"Version: {found.version}{f' with nats-server {found.nats}' if found.nats else ', no network broker'}"
    if found.engine.pid:
        yield f"Engine: process {found.engine.pid}, running for {durations.in_go(float(int(found.engine.uptime)))}"
    if keys := found.key_processes if found.key_processes.wanted else None:
        again = f", {keys.restarts} restarted" if keys.restarts else ""
        failed = f", {keys.failed} handshakes failed because none was available" if keys.failed else ""
        yield f"Key processes: {keys.running} of {keys.wanted} run{again}; {keys.signed} signatures{failed}"
    yield f"Configuration: {found.source}"
    yield f"Ports: {counts(found.ports) or 'none open yet'}"
    if found.operator:
        yield f"Operator {found.operator}: nats-server decides on connections by the users' tokens"
        yield f"Accounts: {_names(found.accounts)}"
    else:
        yield f"Accepted: {counts(found.accepted) or 'none'}"
    if logins := found.logins if found.logins.at_once else None:
        yield (
            f"Clients waiting to log in: {logins.waiting}; handled at the same time: {logins.at_once}; accepted after "
            f"a wait: {logins.served}; had to reconnect: {logins.came_again}"
        )
    yield from _refusals(found)
    yield from _denied(found)
    if found.unverified_account:
        yield f"Unverified clients: accepted into account {found.unverified_account}"
    if found.expiring_tokens:
        yield f"Tokens that expire within a day: {counts(found.expiring_tokens)}"
    for each in found.headroom:
        limit = "" if each.limit is None else f" of {each.limit}"
        unit = " bytes" if each.what in {"memory", "store"} else ""
        yield f"{each.what.capitalize()} used: {each.used}{limit}{unit}"
    if found.provisioning:
        yield f"Provisioning: {provisioning(found.provisioning)}"
    yield from _links(found)
    yield from _link_troubles(found)
    yield from _streams(found)
    yield from map(_companion, found.companions)
    yield from _configuration(found)
    if found.recent:
        yield "Latest decisions:"
        yield from map(_decision, found.recent)


def _changes(found: Sequence[HealthChange]) -> Iterator[str]:
    if found:
        yield "Changes of health:"
    for each in found[:_SHOWN_CHANGES]:
        lasted = f", after {durations.in_go(float(round(each.lasted)))} of {each.old}" if each.lasted else ""
        yield f"  {moment(each.time)} {each.sentence}{lasted}"


def _refusals(found: Status) -> Iterator[str]:
    refusals, engine = counts(found.refused), sum(found.engine_refused.values())
    by_engine = f"by nats-server {engine} ({counts(found.engine_refused)})" if engine else ""
    if refusals or engine:
        yield f"Refused: {'; '.join(filter(None, (refusals, by_engine)))}"
    elif not found.operator:
        yield "Refused: none"
    for refused in found.refused_addresses:
        times = "once" if refused.refusals == 1 else f"{refused.refusals} times"
        yield f"  {refused.address}: {times}, last {moment(refused.last)}: {counts(refused.rules)}"


def _denied(found: Status) -> Iterator[str]:
    if found.denied:
        yield "Denied subjects and slow consumers:"
    for each in found.denied:
        times = "once" if each.times == 1 else f"{each.times} times"
        yield f"  {each.who}, cid {each.connection}: {each.words}: {times}, last {moment(each.last)}"


def _links(found: Status) -> Iterator[str]:
    peers = found.peers
    if peers.configured and peers.connected is None:
        yield f"Peers: {', '.join(peers.configured)}, {_NOT_KNOWN}"
    elif peers.configured:
        names = f": {', '.join(peers.connected)}" if peers.connected else ""
        yield f"Peers: {len(peers.connected or ())} of {len(peers.configured)} connected{names}"
    yield from (f"{each.kind.capitalize()} {each.name}: {_link(each)}" for each in found.links)


def _link(link: Link) -> str:
    if link.connected is None:
        return f"{_at(each for each in link.places if each != link.name)}{_NOT_KNOWN}"
    since = f" since {moment(link.since)}" if link.since else ""
    if not link.connected:
        why = f", {link.cause}: {link.why}" if link.cause else ""
        return f"{_at(each for each in link.places if each != link.name)}not connected{since}{why}"
    told = [
        "connected" + since,
        f"to {link.server}" if link.server not in {"", link.name} else "",
        "" if link.rtt_ms is None else f"round trip {link.rtt_ms:.1f} ms",
        "" if link.answered is None else f"last answer {link.answered:.0f} s ago",
        f"nats-server {link.version}" if link.version else "",
    ]
    place = f"from {link.address}, " if not link.listed and link.address else _at(filter(None, (link.address,)))
    return f"{place}{', '.join(filter(None, told))}"


def _at(places: Iterable[str]) -> str:
    shown = " or ".join(places)
    return f"at {shown}, " if shown else ""


def _link_troubles(found: Status) -> Iterator[str]:
    """The latest troubles of links, as long as one is missing."""
    if not found.link_troubles or all(each.connected for each in found.links):
        return
    yield "Latest problems of links:"
    for each in found.link_troubles[:_SHOWN_CHANGES]:
        times = "" if each.times == 1 else f", {each.times} times since {moment(each.first)}"
        yield f"  {moment(each.last)} {each.kind} {each.place}: {each.cause}: {each.words}{times}"


def _configuration(found: Status) -> Iterator[str]:
    if found.certificates:
        first = min(found.certificates, key=lambda certificate: certificate.expires)
        yield f"Next certificate to expire: {first.file}, {moment(first.expires)}, days left: {first.days_left}"
    if found.authorities:
        yield from authorities(found.authorities)
    yield from revocation(found.revocation)
    if found.reload:
        yield f"Last reload: {moment(found.reload.time)} by {found.reload.asked_by}: {found.reload.sentence}"
        if found.reload.why:
            yield f"  {found.reload.why}"
    for bad in found.file_problems:
        yield f"Changed and not in use since {moment(bad.since)}: {bad.why}"
    for pending in found.pending_restart:
        place = f"{pending.file}:{pending.line}: " if pending.line else ""
        yield f"Restart needed, {place}{pending.key} is {pending.new or 'unset'}, in use: {pending.old or 'unset'}"
    for left_out in found.left_out:
        yield f"Not in use, {left_out.place}: {left_out.problem}. Remedy: {left_out.remedy}"


def _streams(found: Status) -> Iterator[str]:
    for account in dict.fromkeys(each.account for each in found.streams):
        states = ", ".join(f"{each.stream} {_state(each)}" for each in found.streams if each.account == account)
        yield f"Streams of {account}: {states}"
    for each in found.streams:
        if each.reason:
            yield f"  {each.account} {each.stream}: {each.reason}"
    yield from _streams_now(found)
    for trouble in found.stream_troubles:
        times = "once" if trouble.times == 1 else f"{trouble.times} times"
        yield f"Streams problem, {times}, last {moment(trouble.last)}: {trouble.words}. Remedy: {trouble.remedy}"


def _streams_now(found: Status) -> Iterator[str]:
    now, store = found.streams_now, found.store
    if now and now.meta:
        yield f"Streams of the cluster: {now.meta.obstacle or f'leader {now.meta.leader}'}"
    for each in now.standard if now else ():
        yield f"Stream {each.stream} of {each.account}: {in_words(each)}"
    if now and now.others:
        trouble = f", {now.others_not_writable} not writable: {now.worst}" if now.worst else ", all healthy"
        yield f"Other streams: {now.others}{trouble}"
    if store and store.enabled:
        free = "" if store.bytes_free is None else f", {in_bytes(store.bytes_free)} left on its disk"
        yield f"Store {store.path}: {in_bytes(store.bytes_used)} used of at most {in_bytes(store.bytes_most)}{free}"


def _companion(found: CompanionReport) -> str:
    counts = f"received {found.received}, published {found.published}, errors {found.errors}"
    more = "".join(f", {name} {count}" for name, count in (("lost", found.lost), ("restarts", found.restarts)) if count)
    sides = ", ".join(f"{name} {', '.join(side.brokers)}" for name, side in found.sides.items() if side.brokers)
    return f"{found.sentence[:1].upper()}{found.sentence[1:]}{f' ({sides})' if sides else ''}: {counts}{more}"


def _state(stream: Report) -> str:
    return stream.outcome or stream.state.replace("-", " ")


def _decision(decision: RecentDecision) -> str:
    result = f"into {decision.account}" if decision.allowed else "refused"
    certificate = decision.common_name or (f"serial {decision.serial}" if decision.serial else "")
    held = f" with certificate {certificate}" if certificate else ""
    who = f" {decision.username}" if decision.username else ""
    place = decision.address or decision.kind
    return f"  {moment(decision.time)} cid {decision.connection}{who}{held} from {place}: {result}, {decision.rule}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more if names else "none"
