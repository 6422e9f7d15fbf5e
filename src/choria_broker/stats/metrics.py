"""Every metric that only this broker has a name for: here, and nowhere else, it gets that.

A new metric is one more row of the table below, and a count where the thing happens. Those of streams and their store
are in ``stream_metrics``, those of adapters and the federation broker in ``companion_metrics``, and those that all
Choria programs have in ``choria_metrics``.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

from choria_broker.access.waiting import Waiting
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.listeners import DOORS
from choria_broker.stats.choria_metrics import CONNECTOR, NETWORK, PROTOCOL, SRV
from choria_broker.stats.companion_metrics import PROCESSES, companion_families
from choria_broker.stats.families import Family, Values
from choria_broker.stats.links import LinkKind
from choria_broker.stats.measured import YES_NO, Measured, Take, counter, figure, gauge, histogram
from choria_broker.stats.stream_metrics import STREAMS


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
        (each.authority.subject, each.authority.fingerprint, YES_NO[bool(each.authority.files)], kind): count
        for each in at.authorities.authorities
        for kind, count in {**dict.fromkeys(DOORS, 0), **each.connections}.items()
    }


def _without_certificate(at: Measured) -> Values:
    return {**dict.fromkeys(DOORS, 0), **at.authorities.without_certificate} if at.authorities else None


def _remotes(at: Measured) -> Values:
    return {
        (link.kind.value, link.name): link.connected
        for link in at.links
        if link.connected is not None and link.listed and link.kind is not LinkKind.MEMBER
    }


def _provisioning(number: Callable[[Waiting], float | None]) -> Take:
    return lambda at: None if at.provisioning is None else number(at.provisioning)


_BROKER = (
    counter(
        "choria_broker_decisions_total",
        "Connection decisions, by result and by the rule that decided.",
        lambda at: at.audit.decisions,
        "result rule",
    ),
    counter(
        "choria_broker_engine_refusals_total",
        "Connections that the engine refused by itself, by cause.",
        lambda at: at.audit.engine_refusals,
        "cause",
    ),
    counter(
        "choria_broker_denied_subjects_total",
        "Subjects that connections requested and may not use, by publish or subscribe.",
        lambda at: at.audit.denied,
        "direction",
    ),
    counter(
        "choria_broker_refusals_unlogged_total",
        "Refusals that are logged only as part of a summary.",
        lambda at: at.audit.unlogged,
    ),
    histogram(
        "choria_broker_decision_seconds",
        "Time needed to decide about one connection.",
        lambda at: at.audit.latency if at.audit.latency.total else None,
    ),
    histogram(
        "choria_broker_gate_seconds",
        "Time from the engine's question about a connection to its verdict.",
        lambda at: at.gate.latency,
    ),
    counter(
        "choria_broker_gate_expired_total",
        "Questions that were read too late to be answered.",
        lambda at: at.gate.expired,
    ),
    counter("choria_broker_gate_oversized_total", "Verdicts too large to be sent.", lambda at: at.gate.oversized),
    counter(
        "choria_broker_dropped_total",
        "Gate frames and log lines that were dropped because they were not read in time.",
        lambda at: {**at.gate.dropped, "log_lines": at.log_lines_dropped},
        "what",
    ),
    counter(
        "choria_broker_turned_away_total",
        "Connections closed before they logged in because the listener had too many such connections.",
        lambda at: at.gate.turned_away,
        "listener",
    ),
    gauge(
        "choria_broker_key_processes",
        "Key processes, which hold TLS private keys: running and wanted.",
        lambda at: {"running": at.key_processes.running, "wanted": at.key_processes.wanted},
        "state",
    ),
    counter(
        "choria_broker_key_process_restarts_total",
        "Key processes that ended and were restarted.",
        lambda at: at.key_processes.restarts,
    ),
    counter(
        "choria_broker_key_signatures_total",
        "TLS signatures that the engine requested from key processes, by result.",
        lambda at: {
            "signed": at.gate.signings.signed,
            "late": at.gate.signings.late,
            "overflow": at.gate.signings.overflow,
            "refused": at.gate.signings.refused,
        },
        "result",
    ),
    gauge(
        "choria_broker_logins_waiting",
        "Clients that wait until the broker has time for their login.",
        lambda at: at.gate.queue.waiting,
    ),
    gauge(
        "choria_broker_logins_at_once",
        "Most logins that are handled at the same time before others wait.",
        lambda at: at.gate.queue.at_once,
    ),
    counter(
        "choria_broker_logins_waited_total",
        "Clients that waited to log in, by outcome: served, left (disconnected first), dropped (it was too late).",
        lambda at: {"served": at.gate.queue.waited, "left": at.gate.queue.left, "dropped": at.gate.queue.dropped},
        "outcome",
    ),
    gauge("choria_broker_config_findings", "Findings about the configuration, by severity.", _findings, "severity"),
    gauge(
        "choria_broker_config_errors",
        "Features that are not in use because of their configuration.",
        lambda at: sum(finding.times for finding in at.findings if finding.severity is Severity.SKIP),
    ),
    gauge(
        "choria_broker_unverified_account",
        "1 when clients without certificate and token are accepted into an account.",
        lambda at: at.unverified_account,
    ),
    gauge(
        "choria_broker_certificate_expiry_timestamp_seconds",
        "When a certificate expires, in Unix seconds.",
        _expiries,
        "role file subject",
    ),
    gauge(
        "choria_broker_connections_by_authority",
        "Connections by the CA certificate that verifies the other side, and whether a CA file still has it.",
        _by_authority,
        "authority fingerprint listed kind",
    ),
    gauge(
        "choria_broker_connections_without_certificate",
        "Connections with TLS whose other side presented no certificate.",
        _without_certificate,
        "kind",
    ),
    gauge(
        "choria_broker_revoked",
        "What is revoked: entries of the revocation file by kind, and certificates in lists.",
        lambda at: at.revoked.counts,
        "kind",
    ),
    gauge(
        "choria_broker_crl_updated_timestamp_seconds",
        "When a list of revoked certificates was issued, in Unix seconds.",
        lambda at: at.revoked.updates,
        "issuer file",
    ),
    gauge(
        "choria_broker_crl_next_update_timestamp_seconds",
        "Next update of a list of revoked certificates, in Unix seconds.",
        lambda at: at.revoked.next_updates,
        "issuer file",
    ),
    gauge(
        "choria_broker_crl_expired",
        "1 for a list of revoked certificates that is past its next update.",
        lambda at: at.revoked.overdue,
        "issuer file",
    ),
    counter(
        "choria_broker_sessions_ended_total",
        "Sessions that the broker ended because they were revoked, by rule, or had expired.",
        lambda at: at.revoked.ended,
        "cause",
    ),
    gauge(
        "choria_broker_provisioning_waiting",
        "Nodes connected to this broker that wait for provisioning.",
        _provisioning(lambda waiting: waiting.nodes),
    ),
    gauge(
        "choria_broker_provisioning_oldest_timestamp_seconds",
        "Time since which the first node has been waiting for provisioning, in Unix seconds.",
        _provisioning(lambda waiting: waiting.oldest or None),
    ),
    gauge(
        "choria_broker_provisioners",
        "Provisioners connected to this broker.",
        _provisioning(lambda waiting: waiting.provisioners),
    ),
    gauge(
        "choria_broker_provisioning_stalled",
        "1 when nodes have waited for five minutes or more and no provisioner is connected.",
        _provisioning(lambda waiting: waiting.stalled),
    ),
    gauge(
        "choria_broker_tokens_expiring",
        "Sessions whose token expires within a day or has expired, by organization and key of the issuer.",
        lambda at: at.expiring_tokens,
        "organization issuer",
    ),
    gauge(
        "choria_broker_used",
        "How much of connections, descriptors, subscriptions, memory and store is used; the last two in bytes.",
        lambda at: {each.what: each.used for each in at.headroom},
        "what",
    ),
    gauge(
        "choria_broker_limit",
        "Limits of connections, descriptors, memory and store; the last two in bytes.",
        lambda at: {each.what: each.limit for each in at.headroom if each.limit is not None},
        "what",
    ),
    counter("choria_broker_reloads_total", "Reloads of the configuration.", figure("reloads"), "outcome"),
    gauge(
        "choria_broker_reload_last_success_timestamp_seconds",
        "Time of the last reload that was not refused, or of the start, in Unix seconds.",
        figure("reload_success"),
    ),
    gauge(
        "choria_broker_reload_failed",
        "1 when the last reload was refused, so the broker does not use what is in the files.",
        figure("reload_failed"),
    ),
    gauge(
        "choria_broker_watched_files",
        "Files that the broker reads again when they change.",
        figure("watched_files"),
    ),
    gauge(
        "choria_broker_watched_file_problem",
        "1 for a file that was changed and cannot be used.",
        figure("bad_files"),
        "file",
    ),
    gauge(
        "choria_broker_draining",
        "1 while the broker is draining or drained, until the drain is cancelled.",
        lambda at: at.gate.moving.draining,
    ),
    gauge(
        "choria_broker_drain_connections_left",
        "Clients and leafnodes that a drain still has to move.",
        lambda at: at.gate.moving.left,
    ),
    gauge(
        "choria_broker_drain_leaders_left",
        "Groups of streams that this member still leads during a drain.",
        lambda at: at.gate.moving.leaders,
    ),
    gauge(
        "choria_broker_pending_restart",
        "1 for a setting that was changed and needs a restart.",
        lambda at: dict.fromkeys(at.pending_restart, 1.0),
        "key",
    ),
    gauge(
        "choria_broker_health",
        "1 for the current health condition of the broker, 0 for the others.",
        _conditions,
        "condition",
    ),
    gauge(
        "choria_broker_health_since_timestamp_seconds",
        "Time of the last change of the health condition, in Unix seconds.",
        lambda at: at.health_since or None,
    ),
    counter(
        "choria_broker_health_changes_total",
        "Changes of the health condition, by the new condition.",
        lambda at: at.health_changes,
        "condition",
    ),
    gauge(
        "choria_broker_peers_configured",
        "Other members of the cluster in the configuration.",
        lambda at: len(at.membership.expected),
    ),
    gauge(
        "choria_broker_peers_connected",
        "Members of the cluster that are connected.",
        lambda at: len(at.membership.connected) if at.readings else None,
    ),
    gauge(
        "choria_broker_remote_connected",
        "1 while the remote of that name is connected, otherwise 0.",
        _remotes,
        "kind name",
    ),
    *STREAMS,
    counter(
        "choria_build_info", "What this program is; always 1.", lambda at: {(at.version, at.sha): 1}, "version sha"
    ),
)


def families(measured: Measured) -> tuple[Family, ...]:
    """Make the families of all metrics."""
    named = {"identity": measured.identity}
    return (
        *(metric.family(measured, named) for metric in (*_BROKER, *PROCESSES, *SRV, *NETWORK)),
        *companion_families(measured.companion_counts, named),
        *(metric.family(measured, {}) for metric in (*CONNECTOR, *PROTOCOL)),
    )
