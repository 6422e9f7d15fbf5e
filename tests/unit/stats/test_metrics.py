"""What is measured becomes families; names, types and labels of shared ones are those of the original program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from choria_broker.audit.trail import AuditCounts
from choria_broker.engine.counters import GateCounters
from choria_broker.histogram import Histogram
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding
from choria_broker.stats.authorities import Authority, Use, Uses
from choria_broker.stats.certificates import Certificate, Role, Source
from choria_broker.stats.collector import FamilyCollector
from choria_broker.stats.exposition import exposition
from choria_broker.stats.families import Family, MetricType, Sample
from choria_broker.stats.links import Link, LinkKind
from choria_broker.stats.measured import Measured
from choria_broker.stats.membership import Membership
from choria_broker.stats.metrics import families
from choria_broker.stats.readings import Leafnode, Readings, Server, Streams, read_leafnodes
from choria_broker.stats.tallies import Tallies
from choria_broker.status.health import Condition
from choria_broker.values import replace
from support.metrics import family

SAMPLES = Path(__file__).parents[2] / "golden/samples"
HUB = "broker1.example.net"

SERVER = {
    "connections", "total_connections", "routes", "remotes", "leafnode_remotes", "in_msgs", "out_msgs", "in_bytes",
    "out_bytes", "slow_consumers", "subscriptions",
}  # fmt: skip
STREAMS = {
    "memorystore_max", "filestore_max", "memorystore_used", "filestore_used", "streams", "consumers", "messages",
    "message_bytes",
}  # fmt: skip
LEAFNODE = {"rtt_ms", "in_msgs", "out_msgs", "in_bytes", "out_bytes", "subscriptions"}


def names(made: tuple[Family, ...]) -> set[str]:
    return {each.name for each in made if each.samples}


def readings(*leafnodes: Leafnode) -> Readings:
    return Readings(Server(), leafnodes, Streams())


def network(read: Readings) -> tuple[Family, ...]:
    made = families(Measured(identity=HUB, readings=read))
    return tuple(each for each in made if each.name.startswith("choria_network_"))


def shared(measured: Measured) -> tuple[Family, ...]:
    """Those that all Choria programs have."""
    return tuple(each for each in families(measured) if not each.name.startswith("choria_broker_"))


def shape(page: str) -> dict[str, tuple[str, set[tuple[str, ...]]]]:
    """Type and label names of every family of a page but those of a runtime."""
    found: dict[str, tuple[str, set[tuple[str, ...]]]] = {}
    kind = name = ""
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            found[name] = (kind, set())
        elif not line.startswith("#"):
            found[name][1].add(tuple(re.findall(r'(\w+)="', line)))
    return {name: each for name, each in found.items() if name.startswith("choria_")}


def page_of(*made: Family) -> str:
    registry = CollectorRegistry()
    registry.register(FamilyCollector(lambda: made))
    return exposition(registry).decode()


def from_samples(kind: str) -> Readings:
    texts = {name: (SAMPLES / f"{name}.json").read_text(encoding="utf-8") for name in ("varz", "leafz", "jsz")}
    pages = {name: json.loads(text) for name, text in texts.items()}
    streams = Streams.read(pages["jsz"]) if kind == "hub" else Streams()
    return Readings(Server.read(pages["varz"]), read_leafnodes(pages["leafz"]), streams)


@pytest.mark.parametrize(
    ("page", "kind"), [("prometheus-hub-all-features.txt", "hub"), ("prometheus-leaf-spoke.txt", "")]
)
def test_families_have_the_shape_of_the_original_page(page: str, kind: str) -> None:
    original = shape((SAMPLES / page).read_text(encoding="utf-8"))
    original = {name: each for name, each in original.items() if not re.match("choria_(federation|adapter)_", name)}
    made = page_of(*shared(Measured(identity=HUB, version="0.28.0", readings=from_samples(kind))))
    # The original could not read most round trip times.
    assert shape(made).pop("choria_network_leafnode_rtt_ms") == (
        "gauge", {("account", "host", "identity", "port")},
    )  # fmt: skip
    assert {name: each for name, each in shape(made).items() if not name.endswith("rtt_ms")} == original


def test_the_build_is_a_counter_under_its_own_name() -> None:
    made = page_of(*families(Measured(identity=HUB, version="0.28.0")))
    original = (SAMPLES / "prometheus-hub-all-features.txt").read_text(encoding="utf-8")
    line = 'choria_build_info{identity="broker1.example.net",sha="unknown",version="0.28.0"} 1\n'
    assert line in made
    assert line in original


def test_every_name() -> None:
    assert names(network(readings(Leafnode(rtt_ms=1.0)))) == {
        *(f"choria_network_{name}" for name in SERVER),
        *(f"choria_network_stream_{name}" for name in STREAMS),
        *(f"choria_network_leafnode_{name}" for name in LEAFNODE),
    }
    assert {each.kind for each in network(readings())} == {MetricType.GAUGE}


def test_families_of_leafnodes_need_leafnodes() -> None:
    without = {name for name in names(network(readings())) if "_leafnode_" in name}
    assert without == {"choria_network_leafnode_remotes"}


def test_a_round_trip_time_that_was_not_measured_is_left_out() -> None:
    one, two = (
        Leafnode(account="choria", host="::1", port=1),
        Leafnode(account="choria", host="::1", port=2, rtt_ms=0.5),
    )
    made = family(Measured(identity=HUB, readings=readings(one, two)), "choria_network_leafnode_rtt_ms")
    assert made.samples == (Sample(0.5, {"account": "choria", "host": "::1", "identity": HUB, "port": "2"}),)


def test_of_two_leafnodes_at_one_place_the_last_one_wins() -> None:
    twins = [Leafnode(account="choria", host="::1", port=1, in_msgs=count) for count in (3, 4)]
    made = family(Measured(identity=HUB, readings=readings(*twins)), "choria_network_leafnode_in_msgs")
    assert [sample.value for sample in made.samples] == [4]


def test_a_page_that_was_never_read_has_no_families() -> None:
    assert names(network(Readings(Server()))) == {f"choria_network_{name}" for name in SERVER}


def test_what_nobody_counts_is_zero_and_srv_records_appear_with_the_first() -> None:
    nothing = {each.name: each for each in shared(Measured(identity=HUB)) if each.name != "choria_build_info"}
    assert not [name for name, each in nothing.items() if "dns" in name and each.samples]
    assert {sample.value for each in nothing.values() for sample in each.samples} == {0}
    asked = Measured(identity=HUB, tallies=Tallies(srv_lookups=2))
    for name, value in (("lookups", 2), ("cachehits", 0), ("cachemiss", 2)):
        made = family(asked, f"choria_dns_srv_{name}")
        assert (made.kind, made.samples) == (MetricType.COUNTER, (Sample(value, {"identity": HUB}),))


def test_tallies_are_shown() -> None:
    tallies = Tallies()
    tallies.connector.reconnections = 3
    for seconds in (0.125, 0.375):
        tallies.connector.latency.add(seconds)
    tallies.protocol["2"].invalid = 7
    page = page_of(*families(Measured(identity=HUB, tallies=tallies)))
    assert "choria_connector_reconnections 3\n" in page
    assert "choria_connector_initial_connect_time_sum 0.5\nchoria_connector_initial_connect_time_count 2\n" in page
    assert 'choria_protocol_invalid{version="1"} 0\nchoria_protocol_invalid{version="2"} 7\n' in page


ME = {"identity": "b"}


def test_decisions_take_no_time_before_the_first() -> None:
    counts = AuditCounts()
    assert family(Measured(identity="b", audit=counts), "choria_broker_decision_seconds").samples == ()
    counts.latency.add(0.25)
    samples = family(Measured(identity="b", audit=counts), "choria_broker_decision_seconds").samples
    assert samples[0] == Sample(0, {**ME, "le": "5e-05"}, "_bucket")
    assert samples[-1] == Sample(1, ME, "_count")


def test_the_gate() -> None:
    counters = GateCounters(expired=3, oversized=2, latency=Histogram((0.1, 1.0)))
    for seconds in (0.0625, 0.5, 0.5, 4.0):
        counters.latency.add(seconds)
    measured = Measured(identity="b", gate=counters)
    made = family(measured, "choria_broker_gate_seconds")
    assert made.kind is MetricType.HISTOGRAM
    assert made.samples == (
        Sample(1, {**ME, "le": "0.1"}, "_bucket"),
        Sample(3, {**ME, "le": "1.0"}, "_bucket"),
        Sample(4, {**ME, "le": "+Inf"}, "_bucket"),
        Sample(5.0625, ME, "_sum"),
        Sample(4, ME, "_count"),
    )
    assert family(measured, "choria_broker_gate_expired_total").samples == (Sample(3, ME),)
    assert family(measured, "choria_broker_gate_oversized_total").samples == (Sample(2, ME),)


def test_what_was_dropped() -> None:
    measured = Measured(identity="b", gate=GateCounters(dropped={"questions": 2}), log_lines_dropped=0)
    made = family(measured, "choria_broker_dropped_total")
    assert made.kind is MetricType.COUNTER
    assert made.samples == (Sample(2, ME | {"what": "questions"}), Sample(0, ME | {"what": "log_lines"}))


def test_the_configuration() -> None:
    found = [
        Finding(severity=each, code=Code.NO_EFFECT, problem="problem", effect="effect", remedy="remedy")
        for each in (Severity.SKIP, Severity.SKIP, Severity.WARN)
    ]
    measured = Measured(identity="b", findings=found, unverified_account=True)
    samples = family(measured, "choria_broker_config_findings").samples
    assert {sample.labels["severity"]: sample.value for sample in samples} == {
        "refuse": 0,
        "skip": 2,
        "warn": 1,
        "info": 0,
    }
    assert family(measured, "choria_broker_config_errors").samples == (Sample(2, ME),)
    assert family(measured, "choria_broker_unverified_account").samples == (Sample(1, ME),)


def test_certificates() -> None:
    found = Certificate(Source(Role.CA, Path("/ca.pem")), "CN=ca", 5.0)
    labels = ME | {"role": "ca", "file": "/ca.pem", "subject": "CN=ca"}
    measured = Measured(identity="b", certificates=[found])
    assert family(measured, "choria_broker_certificate_expiry_timestamp_seconds").samples == (Sample(5.0, labels),)


def test_authorities() -> None:
    used = Use(Authority("0a", "CN=ca", 5.0, (Path("/ca.pem"),)), {"client": 2, "to_leafnode": 1})
    gone = Use(Authority("0b", "CN=gone", 5.0), {"leafnode": 1})
    measured = Measured(identity="b", authorities=Uses((used, gone), {"client": 3}, {"client": 9}, 1.0))
    samples = family(measured, "choria_broker_connections_by_authority").samples
    labels = ("authority", "fingerprint", "listed", "kind")
    assert {tuple(each.labels[name] for name in labels): each.value for each in samples if each.value} == {
        ("CN=ca", "0a", "yes", "client"): 2,
        ("CN=ca", "0a", "yes", "to_leafnode"): 1,
        ("CN=gone", "0b", "no", "leafnode"): 1,
    }
    assert len(samples) == 6 + 5
    samples = family(measured, "choria_broker_connections_without_certificate").samples
    assert {each.labels["kind"]: each.value for each in samples if each.value} == {"client": 3}
    assert not family(Measured(identity="b"), "choria_broker_connections_by_authority").samples


def test_reloads() -> None:
    made = family(
        Measured(identity="b", figures={"reloads": {"applied": 2, "refused": 0}}), "choria_broker_reloads_total"
    )
    assert made.samples == (Sample(2, ME | {"outcome": "applied"}), Sample(0, ME | {"outcome": "refused"}))


def test_health() -> None:
    assert family(Measured(identity="b", health=Condition.DEGRADED), "choria_broker_health").samples == (
        Sample(0.0, ME | {"condition": "ok"}),
        Sample(1.0, ME | {"condition": "degraded"}),
        Sample(0.0, ME | {"condition": "draining"}),
        Sample(0.0, ME | {"condition": "failing"}),
    )


def test_links() -> None:
    remotes = (Link(LinkKind.GATEWAY, "TOKYO", connected=True), Link(LinkKind.LEAFNODE, "hub", connected=False))
    there = Membership(expected=("a:1", "b:1", "c:1"), connected=("a", "b"))
    known = Measured(identity="b", membership=there, links=remotes, readings=readings())
    assert family(known, "choria_broker_peers_configured").samples == (Sample(3, ME),)
    assert family(known, "choria_broker_peers_connected").samples == (Sample(2, ME),)
    assert family(known, "choria_broker_remote_connected").samples == (
        Sample(1.0, ME | {"kind": "gateway", "name": "TOKYO"}),
        Sample(0.0, ME | {"kind": "leafnode", "name": "hub"}),
    )
    of_unknown_state = tuple(replace(link, connected=None) for link in remotes)
    unknown = replace(known, readings=None, links=of_unknown_state)
    assert family(unknown, "choria_broker_peers_configured").samples == (Sample(3, ME),)
    assert not {"choria_broker_peers_connected", "choria_broker_remote_connected"} & names(families(unknown))


def test_no_two_metrics_have_one_name() -> None:
    made = [each.name for each in families(Measured(identity="b"))]
    assert len(made) == len(set(made))
