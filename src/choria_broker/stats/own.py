"""The families of this broker's own: gate, findings, certificates, reloads, links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Settings
from choria_broker.engine.counters import GateCounters, Latency
from choria_broker.stats.certificates import Certificate
from choria_broker.stats.families import Family, Kind, Sample, counter, gauge
from choria_broker.stats.health import Condition
from choria_broker.stats.links import Link


def gate(counters: GateCounters, identity: str) -> tuple[Family, ...]:
    """Make the families of the gate."""
    labels = {"identity": identity}
    name = "choria_broker_gate_"
    return (
        Family(
            f"{name}seconds",
            Kind.HISTOGRAM,
            "Time from the engine's question about a connection to its verdict.",
            _histogram(counters.latency, labels),
        ),
        counter(f"{name}expired_total", "Questions read too late to be answered.", counters.expired, labels),
        counter(f"{name}oversized_total", "Verdicts too large to be sent.", counters.oversized, labels),
    )


def _histogram(latency: Latency, labels: Mapping[str, str]) -> tuple[Sample, ...]:
    total, samples = 0, []
    for bound, count in zip((*latency.bounds, None), latency.counts, strict=True):
        total += count
        edge = "+Inf" if bound is None else str(bound)
        samples.append(Sample(total, {**labels, "le": edge}, "_bucket"))
    return (*samples, Sample(latency.seconds, labels, "_sum"), Sample(total, labels, "_count"))


def configuration(settings: Settings, findings: Iterable[Finding]) -> tuple[Family, ...]:
    """Make the families about the configuration in force.

    Args:
        settings: what the broker was told.
        findings: what was found while the settings were read.
    """
    labels = {"identity": settings.identity}
    severities = [finding.severity for finding in findings]
    samples = tuple(Sample(severities.count(each), {**labels, "severity": each.value}) for each in Severity)
    left_out = severities.count(Severity.SKIP)
    unverified = bool(settings.network.unverified_account)
    name = "choria_broker_"
    about_unverified = "1 when clients without certificate and token are let into an account."
    return (
        Family(f"{name}config_findings", Kind.GAUGE, "Findings about the configuration, by severity.", samples),
        gauge(f"{name}config_errors", "Features left out because of their configuration.", left_out, labels),
        gauge(f"{name}unverified_account", about_unverified, unverified, labels),
    )


def expiries(found: Sequence[Certificate], identity: str) -> Family:
    """Make the family that tells when certificates expire."""
    samples = tuple(
        Sample(
            each.expires,
            {
                "file": str(each.source.file),
                "identity": identity,
                "role": each.source.role.value,
                "subject": each.subject,
            },
        )
        for each in found
    )
    text = "When a certificate expires, in Unix seconds."
    return Family("choria_broker_certificate_expiry_timestamp_seconds", Kind.GAUGE, text, samples)


def reloads(outcomes: Mapping[str, int], identity: str) -> Family:
    """Make the family that counts reloads of the configuration, by outcome."""
    samples = tuple(Sample(count, {"identity": identity, "outcome": outcome}) for outcome, count in outcomes.items())
    return Family("choria_broker_reloads_total", Kind.COUNTER, "Reloads of the configuration.", samples)


def peers_configured(count: int, identity: str) -> Family:
    """Make the family that tells how many members of the cluster this broker connects to."""
    text = "Other members of the cluster in the configuration."
    return gauge("choria_broker_peers_configured", text, count, {"identity": identity})


def health(condition: Condition, identity: str) -> Family:
    """Make the family that tells how the broker is altogether."""
    samples = tuple(
        Sample(float(each is condition), {"condition": each.value, "identity": identity}) for each in Condition
    )
    text = "1 for the condition the broker is in, 0 for the others."
    return Family("choria_broker_health", Kind.GAUGE, text, samples)


def connected(peers: int, remotes: Iterable[Link], identity: str) -> tuple[Family, ...]:
    """Make the families that tell which links stand.

    Args:
        peers: members of the cluster that are connected.
        remotes: gateways and leafnodes.
        identity: label of every sample.
    """
    samples = tuple(
        Sample(float(link.connected), {"identity": identity, "kind": link.kind.value, "name": link.name})
        for link in remotes
    )
    text = "1 while the remote of that name is connected, 0 while it is not."
    return (
        gauge("choria_broker_peers_connected", "Members of the cluster connected.", peers, {"identity": identity}),
        Family("choria_broker_remote_connected", Kind.GAUGE, text, samples),
    )
