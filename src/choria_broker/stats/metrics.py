"""Every metric of the broker that Choria and this broker have names for: here, and nowhere else, they get them.

A new metric is one more row of a table below, and a count where the thing happens. Names, types and labels of those
that begin with ``choria_network_``, ``choria_connector_``, ``choria_protocol_`` and ``choria_dns_`` are those of all
Choria programs.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import operator
from collections.abc import Callable, Collection, Mapping, Sequence

from choria_broker import __version__
from choria_broker.access.waiting import Waiting
from choria_broker.audit.trail import AuditCounts
from choria_broker.build_info import UNKNOWN
from choria_broker.engine.counters import LISTENERS, GateCounters
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding
from choria_broker.stats.authorities import Uses
from choria_broker.stats.certificates import Certificate
from choria_broker.stats.families import Family, Metric, MetricType, Values
from choria_broker.stats.headroom import Headroom
from choria_broker.stats.links import Link
from choria_broker.stats.membership import Membership
from choria_broker.stats.readings import Leafnode, Readings
from choria_broker.stats.revoked import NOTHING, Revoked
from choria_broker.stats.standings import Standings
from choria_broker.stats.tallies import ProtocolTally, Tallies
from choria_broker.streams.ledger import StreamCounts
from choria_broker.streams.report import State


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that is shown as metrics, at one moment.

    Attributes:
        identity: of the broker, a label of nearly all metrics.
        version, sha: of the program, and revision of its source.
        audit, gate, streams, tallies: what parts of the broker count.
        log_lines_dropped: lines of the log that nobody took in time.
        reloads: reloads of the configuration by outcome.
        reload_success: when the last of them ended that was not refused, Unix seconds.
        reload_failed: the last of them was refused.
        watched_files: how many files are watched.
        bad_files: those that were changed and cannot be used.
        pending_restart: settings that were changed and that only a restart takes over.
        revoked: what is revoked.
        provisioning: who waits for provisioning; None on a broker that has none.
        expiring_tokens: sessions whose token ends within a day, by organization and key of the issuer.
        headroom: how much of everything that is limited is used.
        health: the condition the broker is in.
        health_since: since when, Unix seconds; 0 in the first moments.
        health_changes: how often it has changed, by what it became.
        findings: what was found while the settings were read.
        unverified_account: clients that present nothing are let into an account.
        certificates: those the broker works with.
        authorities: CAs, and the connections that hang on them; None before they were counted.
        membership: the other members of the cluster.
        links: remotes of the configuration.
        readings: what the engine's pages told, None while nobody reads them.
        store: where streams are stored, empty without them.
        store_free: bytes that are left on its disk, None when that is not known.
    """

    identity: str
    version: str = __version__
    sha: str = UNKNOWN
    audit: AuditCounts = dataclasses.field(default_factory=AuditCounts)
    gate: GateCounters = dataclasses.field(default_factory=GateCounters)
    streams: StreamCounts = dataclasses.field(default_factory=StreamCounts)
    tallies: Tallies = dataclasses.field(default_factory=Tallies)
    log_lines_dropped: int = 0
    reloads: Mapping[str, int] = dataclasses.field(default_factory=dict)
    reload_success: float = 0.0
    reload_failed: bool = False
    watched_files: int = 0
    bad_files: Sequence[str] = ()
    pending_restart: Sequence[str] = ()
    revoked: Revoked = NOTHING
    provisioning: Waiting | None = None
    expiring_tokens: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    headroom: Sequence[Headroom] = ()
    health: enum.StrEnum | None = None
    health_since: float = 0.0
    health_changes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    findings: Sequence[Finding] = ()
    unverified_account: bool = False
    certificates: Sequence[Certificate] = ()
    authorities: Uses | None = None
    membership: Membership = dataclasses.field(default_factory=Membership)
    links: Sequence[Link] = ()
    readings: Readings | None = None
    store: str = ""
    store_free: int | None = None


_Take = Callable[[Measured], Values]


def _counter(name: str, text: str, values: _Take, labels: str = "") -> Metric[Measured]:
    return Metric(name, MetricType.COUNTER, text, values, tuple(labels.split()))


def _gauge(name: str, text: str, values: _Take, labels: str = "") -> Metric[Measured]:
    return Metric(name, MetricType.GAUGE, text, values, tuple(labels.split()))


def _histogram(name: str, text: str, values: _Take) -> Metric[Measured]:
    return Metric(name, MetricType.HISTOGRAM, text, values)


def _summary(name: str, text: str, values: _Take) -> Metric[Measured]:
    return Metric(name, MetricType.SUMMARY, text, values)


def _states(at: Measured) -> Values:
    return {
        (account, stream, state.value): float(state is report.state)
        for (account, stream), report in dict(at.streams.reports).items()
        for state in State
    }


def _findings(at: Measured) -> Values:
    counted = collections.Counter[Severity]()
    for finding in at.findings:
        counted[finding.severity] += finding.times
    return {severity.value: counted[severity] for severity in Severity}


def _conditions(at: Measured) -> Values:
    return {each.value: float(each is at.health) for each in type(at.health)} if at.health else None


def _expiries(at: Measured) -> Values:
    return {(each.source.role.value, str(each.source.file), each.subject): each.expires for each in at.certificates}


def _by_authority(at: Measured) -> Values:
    """Count for each kind that a listener has, also where it is none: that is what a change of the CA waits for."""
    if at.authorities is None:
        return None
    return {
        (each.authority.subject, each.authority.fingerprint, _YES_NO[bool(each.authority.files)], kind): count
        for each in at.authorities.authorities
        for kind, count in {**dict.fromkeys(LISTENERS, 0), **each.connections}.items()
    }


def _without_certificate(at: Measured) -> Values:
    return {**dict.fromkeys(LISTENERS, 0), **at.authorities.without_certificate} if at.authorities else None


def _remotes(at: Measured) -> Values:
    return {(link.kind.value, link.name): link.connected for link in at.links if link.connected is not None}


def _provisioning(number: Callable[[Waiting], float | None]) -> _Take:
    return lambda at: None if at.provisioning is None else number(at.provisioning)


def _standing(values: Callable[[Standings, Collection[tuple[str, str]]], Values]) -> _Take:
    """Take how streams stand; nothing while that was not read."""
    return lambda at: (
        values(at.readings.standings, set(at.streams.reports)) if at.readings and at.readings.standings else None
    )


def _writable(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    return {key: float(not each.obstacle) for each in found.streams if (key := (each.account, each.stream)) in standard}


def _copies(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    return {
        (each.account, each.stream, state.value): count
        for each in found.streams
        if (each.account, each.stream) in standard
        for state, count in each.counts.items()
    }


def _lags(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    return {
        (each.account, each.stream, copy.member): copy.lag
        for each in found.streams
        if (each.account, each.stream) in standard and each.counts
        for copy in each.copies
    }


def _others(found: Standings, standard: Collection[tuple[str, str]]) -> Values:
    counted = dict.fromkeys(_YES_NO, 0)
    for each in found.streams:
        if (each.account, each.stream) not in standard:
            counted[_YES_NO[not each.obstacle]] += 1
    return counted


_YES_NO = ("no", "yes")

_BROKER = (
    _counter(
        "choria_broker_decisions_total",
        "Connection decisions, by result and by the rule that decided.",
        lambda at: at.audit.decisions,
        "result rule",
    ),
    _counter(
        "choria_broker_engine_refusals_total",
        "Connections that the engine refused by itself, by cause.",
        lambda at: at.audit.engine_refusals,
        "cause",
    ),
    _counter(
        "choria_broker_denied_subjects_total",
        "Subjects that connections asked for and may not use, by what they wanted to do.",
        lambda at: at.audit.denied,
        "direction",
    ),
    _counter(
        "choria_broker_refusals_unlogged_total",
        "Refusals that are logged only as part of a summary.",
        lambda at: at.audit.unlogged,
    ),
    _histogram(
        "choria_broker_decision_seconds",
        "Time taken to decide about one connection.",
        lambda at: at.audit.latency if at.audit.latency.total else None,
    ),
    _histogram(
        "choria_broker_gate_seconds",
        "Time from the engine's question about a connection to its verdict.",
        lambda at: at.gate.latency,
    ),
    _counter(
        "choria_broker_gate_expired_total",
        "Questions that were read too late to be answered.",
        lambda at: at.gate.expired,
    ),
    _counter("choria_broker_gate_oversized_total", "Verdicts too large to be sent.", lambda at: at.gate.oversized),
    _counter(
        "choria_broker_dropped_total",
        "Gate frames and log lines that were dropped because they were not taken in time.",
        lambda at: {**at.gate.dropped, "log_lines": at.log_lines_dropped},
        "what",
    ),
    _counter(
        "choria_broker_turned_away_total",
        "Connections closed before they logged in because the listener had too many such connections.",
        lambda at: at.gate.turned_away,
        "listener",
    ),
    _gauge("choria_broker_config_findings", "Findings about the configuration, by severity.", _findings, "severity"),
    _gauge(
        "choria_broker_config_errors",
        "Features that are not in use because of their configuration.",
        lambda at: sum(finding.times for finding in at.findings if finding.severity is Severity.SKIP),
    ),
    _gauge(
        "choria_broker_unverified_account",
        "1 when clients without certificate and token are accepted into an account.",
        lambda at: at.unverified_account,
    ),
    _gauge(
        "choria_broker_certificate_expiry_timestamp_seconds",
        "When a certificate expires, in Unix seconds.",
        _expiries,
        "role file subject",
    ),
    _gauge(
        "choria_broker_connections_by_authority",
        "Connections by the CA certificate that vouches for the other side, and whether a CA file still has it.",
        _by_authority,
        "authority fingerprint listed kind",
    ),
    _gauge(
        "choria_broker_connections_without_certificate",
        "Connections with TLS whose other side showed no certificate.",
        _without_certificate,
        "kind",
    ),
    _gauge(
        "choria_broker_revoked",
        "What is revoked: entries of the revocation file by kind, and certificates in lists.",
        lambda at: at.revoked.counts,
        "kind",
    ),
    _gauge(
        "choria_broker_crl_updated_timestamp_seconds",
        "When a list of revoked certificates was made, in Unix seconds.",
        lambda at: at.revoked.updates,
        "issuer file",
    ),
    _gauge(
        "choria_broker_crl_next_update_timestamp_seconds",
        "When a list of revoked certificates is to be replaced, in Unix seconds.",
        lambda at: at.revoked.next_updates,
        "issuer file",
    ),
    _gauge(
        "choria_broker_crl_expired",
        "1 for a list of revoked certificates that is past its next update.",
        lambda at: at.revoked.overdue,
        "issuer file",
    ),
    _counter(
        "choria_broker_sessions_ended_total",
        "Sessions that were ended because a right was revoked, by rule, or because it has expired.",
        lambda at: at.revoked.ended,
        "cause",
    ),
    _gauge(
        "choria_broker_provisioning_waiting",
        "Nodes connected to this broker that wait for provisioning.",
        _provisioning(lambda waiting: waiting.nodes),
    ),
    _gauge(
        "choria_broker_provisioning_oldest_timestamp_seconds",
        "Since when the first of the nodes waits that wait for provisioning, in Unix seconds.",
        _provisioning(lambda waiting: waiting.oldest or None),
    ),
    _gauge(
        "choria_broker_provisioners",
        "Provisioners connected to this broker.",
        _provisioning(lambda waiting: waiting.provisioners),
    ),
    _gauge(
        "choria_broker_provisioning_stalled",
        "1 when nodes have waited for five minutes or more and no provisioner is connected.",
        _provisioning(lambda waiting: waiting.stalled),
    ),
    _gauge(
        "choria_broker_tokens_expiring",
        "Sessions whose token ends within a day, or has ended, by organization and key of the issuer.",
        lambda at: at.expiring_tokens,
        "organization issuer",
    ),
    _gauge(
        "choria_broker_used",
        "How much of connections, descriptors, subscriptions, memory and store is used; the last two in bytes.",
        lambda at: {each.what: each.used for each in at.headroom},
        "what",
    ),
    _gauge(
        "choria_broker_limit",
        "How much of it there can be.",
        lambda at: {each.what: each.limit for each in at.headroom if each.limit is not None},
        "what",
    ),
    _counter("choria_broker_reloads_total", "Reloads of the configuration.", lambda at: at.reloads, "outcome"),
    _gauge(
        "choria_broker_reload_last_success_timestamp_seconds",
        "When the last reload ended that was not refused, or the broker was started, in Unix seconds.",
        lambda at: at.reload_success,
    ),
    _gauge(
        "choria_broker_reload_failed",
        "1 when the last reload was refused, and the files are not what is in force.",
        lambda at: at.reload_failed,
    ),
    _gauge(
        "choria_broker_watched_files",
        "Files that are read again when they change.",
        lambda at: at.watched_files,
    ),
    _gauge(
        "choria_broker_watched_file_problem",
        "1 for a file that was changed and cannot be used.",
        lambda at: dict.fromkeys(at.bad_files, 1.0),
        "file",
    ),
    _gauge(
        "choria_broker_draining",
        "1 while the broker moves its connections elsewhere, and until that is taken back.",
        lambda at: at.gate.moving.draining,
    ),
    _gauge(
        "choria_broker_drain_connections_left",
        "Clients and leafnodes that a drain has still to move.",
        lambda at: at.gate.moving.left,
    ),
    _gauge(
        "choria_broker_drain_leaders_left",
        "Groups of streams that this member still leads during a drain.",
        lambda at: at.gate.moving.leaders,
    ),
    _gauge(
        "choria_broker_pending_restart",
        "1 for a setting that was changed and needs a restart.",
        lambda at: dict.fromkeys(at.pending_restart, 1.0),
        "key",
    ),
    _gauge(
        "choria_broker_health", "1 for the condition that the broker is in, 0 for the others.", _conditions, "condition"
    ),
    _gauge(
        "choria_broker_health_since_timestamp_seconds",
        "Since when the broker is in its condition, in Unix seconds.",
        lambda at: at.health_since or None,
    ),
    _counter(
        "choria_broker_health_changes_total",
        "Changes of the broker's condition, by what it became.",
        lambda at: at.health_changes,
        "condition",
    ),
    _gauge(
        "choria_broker_peers_configured",
        "Other members of the cluster in the configuration.",
        lambda at: len(at.membership.expected),
    ),
    _gauge(
        "choria_broker_peers_connected",
        "Members of the cluster that are connected.",
        lambda at: len(at.membership.connected) if at.readings else None,
    ),
    _gauge(
        "choria_broker_remote_connected",
        "1 while the remote of that name is connected, otherwise 0.",
        _remotes,
        "kind name",
    ),
    _gauge(
        "choria_broker_stream_state",
        "1 for the state that a standard stream is in, 0 for the others.",
        _states,
        "account stream state",
    ),
    *(
        _gauge(name, text, _standing(values), labels)
        for name, text, values, labels in (
            (
                "choria_broker_stream_writable",
                "1 while a standard stream takes messages, as far as this broker knows, otherwise 0.",
                _writable,
                "account stream",
            ),
            (
                "choria_broker_stream_copies",
                "Copies of a standard stream by state, told by the leader.",
                _copies,
                "account stream state",
            ),
            (
                "choria_broker_stream_lag",
                "Operations that the copy of a standard stream on another member is behind, told by the leader.",
                _lags,
                "account stream member",
            ),
            (
                "choria_broker_other_streams",
                "Streams with a copy here beside the standard ones, by whether they take messages.",
                _others,
                "writable",
            ),
            (
                "choria_broker_streams_cluster_leader",
                "1 while the cluster has a member that decides about streams, otherwise 0.",
                lambda found, _standard: None if found.meta is None else float(not found.meta.obstacle),
                "",
            ),
        )
    ),
    _gauge(
        "choria_broker_store_free_bytes",
        "Bytes that are left on the disk of the store.",
        lambda at: {at.store: at.store_free} if at.store and at.store_free is not None else None,
        "path",
    ),
    _counter(
        "choria_broker_stream_failures_total",
        "Failed attempts to create or update a standard stream.",
        lambda at: at.streams.failures,
        "account stream",
    ),
    _gauge(
        "choria_broker_stream_last_failure_seconds",
        "Time of the latest failed attempt to create or update the stream, in Unix seconds.",
        lambda at: at.streams.last_failures,
        "account stream",
    ),
    _counter(
        "choria_broker_stream_troubles_total",
        "Problems with the streams store that the engine's log or its files show, by class.",
        lambda at: at.streams.troubles,
        "account stream trouble",
    ),
    _counter(
        "choria_build_info", "What this program is; always 1.", lambda at: {(at.version, at.sha): 1}, "version sha"
    ),
)


def _looked_up(times: int) -> _Take:
    """SRV records appear with the first that was asked for."""
    return lambda at: at.tallies.srv_lookups * times if at.tallies.srv_lookups else None


_SRV = (
    _counter("choria_dns_srv_lookups", "SRV lookups.", _looked_up(1)),
    _counter("choria_dns_srv_cachehits", "SRV lookups answered from a cache.", _looked_up(0)),
    _counter("choria_dns_srv_cachemiss", "SRV lookups sent to the name servers.", _looked_up(1)),
)


def _read(page: str, field: str) -> _Take:
    """Take one number of a page of the engine; nothing while it was not read."""
    reading, number = operator.attrgetter(page), operator.attrgetter(field)

    def take(at: Measured) -> Values:
        found = reading(at.readings) if at.readings else None
        return None if found is None else float(number(found))

    return take


def _of_leafnodes(field: str) -> _Take:
    number = operator.attrgetter(field)

    def take(at: Measured) -> Values:
        leafnodes: Sequence[Leafnode] = (at.readings and at.readings.leafnodes) or ()
        # By place, so that no two samples of a page have the same labels, which would make all of it unreadable.
        return {
            (each.account, each.host, str(each.port)): number(each) for each in leafnodes if number(each) is not None
        }

    return take


_SERVER = (
    ("choria_network_connections", "connections", "Client connections open now."),
    ("choria_network_total_connections", "total_connections", "Client connections accepted since the engine started."),
    ("choria_network_routes", "routes", "Open connections to members of the cluster."),
    ("choria_network_remotes", "remotes", "Members of the cluster that are connected."),
    ("choria_network_leafnode_remotes", "leafnodes", "Open leafnode connections, in both directions."),
    ("choria_network_in_msgs", "in_msgs", "Messages received over all kinds of connections."),
    ("choria_network_out_msgs", "out_msgs", "Messages sent over all kinds of connections."),
    ("choria_network_in_bytes", "in_bytes", "Bytes of the messages received."),
    ("choria_network_out_bytes", "out_bytes", "Bytes of the messages sent."),
    ("choria_network_slow_consumers", "slow_consumers", "Times that a receiver did not read fast enough."),
    ("choria_network_subscriptions", "subscriptions", "Subscriptions of all accounts."),
)
"""Name, attribute of the reading, and what it is; the same below."""

_STREAMS = (
    ("choria_network_stream_memorystore_max", "memory_max", "Most bytes that streams may use in memory."),
    ("choria_network_stream_filestore_max", "store_max", "Most bytes that streams may use on disk."),
    ("choria_network_stream_memorystore_used", "memory_used", "Bytes that streams use in memory."),
    ("choria_network_stream_filestore_used", "store_used", "Bytes that streams use on disk."),
    ("choria_network_stream_streams", "streams", "Streams on this broker."),
    ("choria_network_stream_consumers", "consumers", "Consumers of streams on this broker."),
    ("choria_network_stream_messages", "messages", "Messages in the streams on this broker."),
    ("choria_network_stream_message_bytes", "message_bytes", "Bytes of the messages in the streams on this broker."),
)
_LEAFNODE = (
    ("choria_network_leafnode_rtt_ms", "rtt_ms", "Round trip time of a leafnode connection in milliseconds."),
    ("choria_network_leafnode_in_msgs", "in_msgs", "Messages received over a leafnode connection."),
    ("choria_network_leafnode_out_msgs", "out_msgs", "Messages sent over a leafnode connection."),
    ("choria_network_leafnode_in_bytes", "in_bytes", "Bytes received over a leafnode connection."),
    ("choria_network_leafnode_out_bytes", "out_bytes", "Bytes sent over a leafnode connection."),
    (
        "choria_network_leafnode_subscriptions",
        "subscriptions",
        "Subscriptions held for the other side of a leafnode connection.",
    ),
)

_NETWORK = (
    *(_gauge(name, text, _read("server", field)) for name, field, text in _SERVER),
    *(_gauge(name, text, _read("streams", field)) for name, field, text in _STREAMS),
    *(_gauge(name, text, _of_leafnodes(field), "account host port") for name, field, text in _LEAFNODE),
)

_CONNECTOR = (
    _counter(
        "choria_connector_initial_connection_attempts",
        "Failed attempts to connect for the first time.",
        lambda at: at.tallies.connector.failed_attempts,
    ),
    _counter(
        "choria_connector_reconnections",
        "Connections that were restored.",
        lambda at: at.tallies.connector.reconnections,
    ),
    _counter(
        "choria_connector_connection_closed",
        "Connections that ended permanently.",
        lambda at: at.tallies.connector.closed,
    ),
    _counter("choria_connector_errors", "Errors on open connections.", lambda at: at.tallies.connector.errors),
    _summary(
        "choria_connector_initial_connect_time",
        "Seconds it took to connect for the first time.",
        lambda at: at.tallies.connector.latency,
    ),
)


def _by_version(count: Callable[[ProtocolTally], int]) -> _Take:
    return lambda at: {version: count(tally) for version, tally in at.tallies.protocol.items()}


_PROTOCOL = (
    _counter(
        "choria_protocol_json_parse_failures",
        "JSON documents that could not be parsed.",
        _by_version(lambda tally: tally.unreadable),
        "version",
    ),
    _counter("choria_protocol_valid", "Valid signatures.", _by_version(lambda tally: tally.valid), "version"),
    _counter("choria_protocol_invalid", "Invalid signatures.", _by_version(lambda tally: tally.invalid), "version"),
    _counter(
        "choria_protocol_error",
        "Other failures with messages of the Choria protocol.",
        _by_version(lambda tally: tally.errors),
        "version",
    ),
)


def families(measured: Measured) -> tuple[Family, ...]:
    """Make the families of all metrics."""
    named = {"identity": measured.identity}
    return (
        *(metric.family(measured, named) for metric in (*_BROKER, *_SRV, *_NETWORK)),
        *(metric.family(measured, {}) for metric in (*_CONNECTOR, *_PROTOCOL)),
    )
