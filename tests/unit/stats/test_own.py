"""The families of the broker's own."""

from __future__ import annotations

from pathlib import Path

from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Network, Settings, Tls
from choria_broker.engine.counters import GateCounters, Latency
from choria_broker.stats import own
from choria_broker.stats.certificates import Certificate, Role, Source
from choria_broker.stats.families import Kind, Sample
from choria_broker.stats.health import Condition
from choria_broker.stats.links import Link, LinkKind

ME = {"identity": "b"}


def test_the_gate() -> None:
    counters = GateCounters(expired=3, oversized=2, latency=Latency((0.1, 1.0)))
    for seconds in (0.0625, 0.5, 0.5, 4.0):
        counters.latency.add(seconds)
    seconds_family, expired, oversized = own.gate(counters, "b")
    assert (seconds_family.name, seconds_family.kind) == ("choria_broker_gate_seconds", Kind.HISTOGRAM)
    assert seconds_family.samples == (
        Sample(1, {**ME, "le": "0.1"}, "_bucket"),
        Sample(3, {**ME, "le": "1.0"}, "_bucket"),
        Sample(4, {**ME, "le": "+Inf"}, "_bucket"),
        Sample(5.0625, ME, "_sum"),
        Sample(4, ME, "_count"),
    )
    assert (expired.name, expired.samples) == ("choria_broker_gate_expired_total", (Sample(3, ME),))
    assert (oversized.name, oversized.samples) == ("choria_broker_gate_oversized_total", (Sample(2, ME),))


def test_the_configuration() -> None:
    settings = Settings(Path("/c"), "b", Tls(False, False, False, None), network=Network(unverified_account="EDGE"))
    found = [
        Finding(each, "code", "problem", "effect", "remedy") for each in (Severity.SKIP, Severity.SKIP, Severity.WARN)
    ]
    findings, left_out, unverified = own.configuration(settings, found)
    assert {sample.labels["severity"]: sample.value for sample in findings.samples} == {
        "refuse": 0,
        "skip": 2,
        "warn": 1,
        "info": 0,
    }
    assert (left_out.samples, unverified.samples) == ((Sample(2, ME),), (Sample(1, ME),))


def test_certificates() -> None:
    found = Certificate(Source(Role.CA, Path("/ca.pem")), "CN=ca", 5.0)
    labels = ME | {"role": "ca", "file": "/ca.pem", "subject": "CN=ca"}
    assert own.expiries([found], "b").samples == (Sample(5.0, labels),)


def test_reloads() -> None:
    family = own.reloads({"applied": 2, "refused": 0}, "b")
    assert family.name == "choria_broker_reloads_total"
    assert family.samples == (Sample(2, ME | {"outcome": "applied"}), Sample(0, ME | {"outcome": "refused"}))


def test_health() -> None:
    assert own.health(Condition.DEGRADED, "b").samples == (
        Sample(0.0, ME | {"condition": "ok"}),
        Sample(1.0, ME | {"condition": "degraded"}),
        Sample(0.0, ME | {"condition": "failing"}),
    )


def test_links() -> None:
    remotes = (Link(LinkKind.GATEWAY, "TOKYO", connected=True), Link(LinkKind.LEAFNODE, "hub", connected=False))
    peers, links = own.connected(2, remotes, "b")
    assert (peers.name, peers.samples) == ("choria_broker_peers_connected", (Sample(2, ME),))
    assert links.samples == (
        Sample(1.0, ME | {"kind": "gateway", "name": "TOKYO"}),
        Sample(0.0, ME | {"kind": "leafnode", "name": "hub"}),
    )
