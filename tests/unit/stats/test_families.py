"""Readings and tallies become families; names, types and labels are those of the original program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from choria_broker.stats.choria import Tallies, common
from choria_broker.stats.collector import FamilyCollector
from choria_broker.stats.exposition import exposition
from choria_broker.stats.families import Family, Kind, Sample, network
from choria_broker.stats.readings import Leafnode, Readings, Server, Streams, read_leafnodes

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


def names(families: tuple[Family, ...]) -> set[str]:
    return {family.name for family in families if family.samples}


def readings(*leafnodes: Leafnode) -> Readings:
    return Readings(Server(), leafnodes, Streams())


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


def page_of(*families: Family) -> str:
    registry = CollectorRegistry()
    registry.register(FamilyCollector(lambda: families))
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
    made = page_of(*common(Tallies(), HUB, "0.28.0", "unknown"), *network(from_samples(kind), HUB))
    # The original could not read most round trip times.
    assert shape(made).pop("choria_network_leafnode_rtt_ms") == (
        "gauge", {("account", "host", "identity", "port")},
    )  # fmt: skip
    assert {name: each for name, each in shape(made).items() if not name.endswith("rtt_ms")} == original


def test_the_build_is_a_counter_under_its_own_name() -> None:
    made = page_of(*common(Tallies(), HUB, "0.28.0", "unknown"))
    original = (SAMPLES / "prometheus-hub-all-features.txt").read_text(encoding="utf-8")
    line = 'choria_build_info{identity="broker1.example.net",sha="unknown",version="0.28.0"} 1\n'
    assert line in made
    assert line in original


def test_every_name() -> None:
    assert names(network(readings(Leafnode(rtt_ms=1.0)), HUB)) == {
        *(f"choria_network_{name}" for name in SERVER),
        *(f"choria_network_stream_{name}" for name in STREAMS),
        *(f"choria_network_leafnode_{name}" for name in LEAFNODE),
    }
    assert {family.kind for family in network(readings(), HUB)} == {Kind.GAUGE}


def test_families_of_leafnodes_need_leafnodes() -> None:
    without = {name for name in names(network(readings(), HUB)) if "_leafnode_" in name}
    assert without == {"choria_network_leafnode_remotes"}


def test_a_round_trip_time_that_was_not_measured_is_left_out() -> None:
    one, two = (
        Leafnode(account="choria", host="::1", port=1),
        Leafnode(account="choria", host="::1", port=2, rtt_ms=0.5),
    )
    (family,) = [each for each in network(readings(one, two), HUB) if each.name.endswith("rtt_ms")]
    assert family.samples == (Sample(0.5, {"account": "choria", "host": "::1", "identity": HUB, "port": "2"}),)


def test_of_two_leafnodes_at_one_place_the_last_one_wins() -> None:
    twins = [Leafnode(account="choria", host="::1", port=1, in_msgs=count) for count in (3, 4)]
    (family,) = [each for each in network(readings(*twins), HUB) if each.name.endswith("leafnode_in_msgs")]
    assert [sample.value for sample in family.samples] == [4]


def test_a_page_that_was_never_read_has_no_families() -> None:
    assert names(network(Readings(Server()), HUB)) == {f"choria_network_{name}" for name in SERVER}


def test_what_nobody_counts_is_zero_and_srv_records_appear_with_the_first() -> None:
    families = {
        family.name: family for family in common(Tallies(), HUB, "1", "2") if family.name != "choria_build_info"
    }
    assert not [name for name in families if "dns" in name]
    assert {sample.value for family in families.values() for sample in family.samples} == {0}
    looked_up = {family.name: family for family in common(Tallies(srv_lookups=2), HUB, "1", "2")}
    for name, value in (("lookups", 2), ("cachehits", 0), ("cachemiss", 2)):
        family = looked_up[f"choria_dns_srv_{name}"]
        assert (family.kind, family.samples) == (Kind.COUNTER, (Sample(value, {"identity": HUB}),))


def test_tallies_are_shown() -> None:
    tallies = Tallies()
    tallies.connector.reconnections = 3
    tallies.connector.connected, tallies.connector.seconds = 2, 0.5
    tallies.protocol["2"].invalid = 7
    page = page_of(*common(tallies, HUB, "1", "2"))
    assert "choria_connector_reconnections 3\n" in page
    assert "choria_connector_initial_connect_time_sum 0.5\nchoria_connector_initial_connect_time_count 2\n" in page
    assert 'choria_protocol_invalid{version="1"} 0\nchoria_protocol_invalid{version="2"} 7\n' in page
