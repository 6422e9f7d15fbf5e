"""The metrics of running brokers: what the engine tells, read at intervals and never for a scrape."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

import psutil
import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.config.surroundings.discovery import Discovery, lookup_srv
from support.leaflinks import hub, remote, spoke
from support.nameserver import name_server
from support.scraping import SELDOM, becomes, polled, scraped
from support.testbed import IDENTITY, Authority, client, configuration, free_port
from support.topology import DEADLINE, Node, Setting, broker, configure, gateways, leafnodes, linked, nodes, page, peers

NETWORK = """
connections total_connections routes remotes leafnode_remotes in_msgs out_msgs in_bytes out_bytes slow_consumers
subscriptions stream_memorystore_max stream_filestore_max stream_memorystore_used stream_filestore_used stream_streams
stream_consumers stream_messages stream_message_bytes
""".split()  # noqa: SIM905 - a list of that length is a screen of quotes
LEAFNODE = ("rtt_ms", "in_msgs", "out_msgs", "in_bytes", "out_bytes", "subscriptions")
EXPECTED = {
    **{f"choria_network_{name}": ("gauge", {"identity"}) for name in NETWORK},
    **{f"choria_network_leafnode_{name}": ("gauge", {"identity", "host", "port", "account"}) for name in LEAFNODE},
    "choria_build_info": ("counter", {"version", "sha", "identity"}),
    **{
        f"choria_connector_{name}": ("counter", set())
        for name in ("initial_connection_attempts", "reconnections", "connection_closed", "errors")
    },
    "choria_connector_initial_connect_time": ("summary", set()),
    **{
        f"choria_protocol_{name}": ("counter", {"version"})
        for name in ("json_parse_failures", "valid", "invalid", "error")
    },
    "process_cpu_seconds_total": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
    "choria_broker_gate_seconds": ("histogram", {"identity"}),
    "choria_broker_gate_expired_total": ("counter", {"identity"}),
    "choria_broker_gate_oversized_total": ("counter", {"identity"}),
    "choria_broker_dropped_total": ("counter", {"identity", "what"}),
    "choria_broker_turned_away_total": ("counter", {"identity", "listener"}),
    "choria_broker_config_findings": ("gauge", {"identity", "severity"}),
    "choria_broker_config_errors": ("gauge", {"identity"}),
    "choria_broker_unverified_account": ("gauge", {"identity"}),
    "choria_broker_certificate_expiry_timestamp_seconds": ("gauge", {"identity", "role", "file", "subject"}),
    "choria_broker_connections_by_authority": ("gauge", {"identity", "authority", "fingerprint", "listed", "kind"}),
    "choria_broker_connections_without_certificate": ("gauge", {"identity", "kind"}),
    "choria_broker_reloads_total": ("counter", {"identity", "outcome"}),
    "choria_broker_peers_configured": ("gauge", {"identity"}),
    "choria_broker_peers_connected": ("gauge", {"identity"}),
}
"""Type and labels of every family that a broker with a leafnode, a peer and Choria Streams shows."""


async def test_a_broker_with_everything_shows_every_metric(tmp_path: Path, authority: Authority) -> None:
    one, two = nodes(2)
    edge = Node("edge.example.net")
    common = peers(one, two)
    stores = [tmp_path / "one", tmp_path / "two"]
    first = polled(hub(tmp_path, authority, one, **common, network__stream__store=stores[0]))
    second = broker(tmp_path, authority, two, **common, network__gateway_name="HQ", network__stream__store=stores[1])
    below = polled(spoke(tmp_path, authority, edge, **remote("hq", one.leafnode)))
    async with first, second, below:
        await linked(one, two)
        await leafnodes(one, 1)
        seen = await becomes(one, lambda now: all(name in now.kinds for name in EXPECTED))
        assert {name: (seen.kinds[name], seen.labels(name)) for name in EXPECTED} == EXPECTED
        strangers = {name for name in seen.network() if name not in EXPECTED}
        assert strangers == set(), "the prefix is for what other programs know"
        assert not [name for name in seen.order if name.startswith(("go_", "choria_dns_"))]
        assert seen.order == sorted(seen.order)
        assert seen.value("choria_build_info") == 1
        for name in ("routes", "remotes", "leafnode_remotes"):
            assert seen.value(f"choria_network_{name}", identity=one.identity) == 1
        rtt = seen.value("choria_network_leafnode_rtt_ms", host="127.0.0.1", account="choria")
        assert rtt is not None
        assert 0 < rtt < 10_000
        assert rtt % 1, "whole milliseconds are what the old program could read"
        assert (seen.value("choria_network_stream_filestore_max") or 0) > 1_000_000
        assert seen.value("choria_broker_peers_configured") == 1
        assert seen.value("choria_broker_peers_connected") == 1

        seen = await becomes(edge, lambda now: now.value("choria_broker_remote_connected", name="hq") == 1)
        assert seen.kinds["choria_broker_remote_connected"] == "gauge"
        assert seen.labels("choria_broker_remote_connected") == {"identity", "kind", "name"}
        assert seen.value("choria_network_leafnode_in_msgs", port=str(one.leafnode), account="choria") is not None
        off = {name: seen.value(f"choria_network_{name}") for name in NETWORK if name.startswith("stream_")}
        assert set(off.values()) == {0}, "all there with Choria Streams off, and all zero"


async def test_the_series_of_a_leafnode_go_with_it(tmp_path: Path, authority: Authority) -> None:
    above, edge = Node("hub.example.net"), Node("edge.example.net")
    async with polled(hub(tmp_path, authority, above)) as top:
        async with spoke(tmp_path, authority, edge, **remote("hq", above.leafnode)):
            # The page with the number is read before the one with the connections.
            await becomes(above, lambda now: now.value("choria_network_leafnode_remotes") == 1)
            await becomes(above, lambda now: now.value("choria_network_leafnode_in_msgs") is not None)
        await leafnodes(above, 0)
        last = top.statistics.poller.latest
        assert last is not None
        # The poll that was under way may have read the page before; the next one tells.
        async with asyncio.timeout(DEADLINE):
            polls = {last.time}
            while len(polls) < 3:
                polls |= {(top.statistics.poller.latest or last).time}
                await asyncio.sleep(0)
        seen = await scraped(above)
        assert {name for name in seen.order if "_leafnode_" in name} == {"choria_network_leafnode_remotes"}
        assert seen.value("choria_network_leafnode_remotes") == 0


async def test_a_remote_that_is_not_there_is_shown_as_such(tmp_path: Path, authority: Authority) -> None:
    edge = Node("edge.example.net")
    async with spoke(tmp_path, authority, edge, **remote("hq", free_port()), **remote("other", free_port())):
        seen = await scraped(edge)
        for name in ("hq", "other"):
            assert seen.value("choria_broker_remote_connected", kind="leafnode", name=name) == 0


async def test_gateways_are_shown_by_cluster(tmp_path: Path, authority: Authority) -> None:
    here, there = Node("here.example.net"), Node("there.example.net")
    away = gateways(here, "HERE", THERE=[there], NOWHERE=[Node("nowhere.example.net")])
    first = polled(broker(tmp_path, authority, here, **away))
    async with first, broker(tmp_path, authority, there, **gateways(there, "THERE", HERE=[here])):
        name = "choria_broker_remote_connected"
        seen = await becomes(here, lambda now: now.value(name, kind="gateway", name="THERE") == 1)
        assert seen.value(name, kind="gateway", name="NOWHERE") == 0


async def test_there_are_readings_as_soon_as_the_port_is_open_and_scrapes_do_not_ask_the_engine(
    tmp_path: Path, authority: Authority
) -> None:
    node = Node(IDENTITY)
    made = polled(broker(tmp_path, authority, node), SELDOM)
    async with made, client(made, authority.context(authority.issue("bob.mcollective"))):
        before = (await page(node, "/varz"))["http_req_stats"]
        assert before == {"/varz": 2, "/leafz": 1, "/jsz": 1, "/routez": 1, "/gatewayz": 1}
        for path in ("/choria/prometheus", "/choria/metrics", "/metrics"):
            seen = await scraped(node, path)
            assert seen.value("choria_network_connections") == 0, "the client came after the only poll"
        assert (await page(node, "/varz"))["http_req_stats"] == {**before, "/varz": 3}


async def test_the_readings_are_renewed(tmp_path: Path, authority: Authority) -> None:
    node = Node(IDENTITY)
    made = polled(broker(tmp_path, authority, node))
    async with made, client(made, authority.context(authority.issue("bob.mcollective"))) as bob:
        await bob.publish("mcollective.x", b"12345")
        seen = await becomes(node, lambda now: now.value("choria_network_in_bytes") == 5)
        assert seen.value("choria_network_in_msgs") == 1
        assert seen.value("choria_network_connections") == 1
        assert seen.value("choria_network_total_connections") == 1


async def test_the_engine_is_read_without_a_statistics_port_and_opens_none(
    tmp_path: Path, authority: Authority
) -> None:
    async with polled(NetworkBroker.from_file(configuration(tmp_path, authority))) as made:
        assert made.statistics.poller.latest is not None
        (engine,) = psutil.Process().children()
        listening = {each.laddr.port for each in engine.net_connections() if each.status == psutil.CONN_LISTEN}
        assert listening == {made.ports.client}
        assert made.registry.get_sample_value("choria_network_connections", {"identity": IDENTITY}) == 0


async def test_what_happens_at_the_gate_is_counted(tmp_path: Path, authority: Authority) -> None:
    node = Node(IDENTITY)
    async with broker(tmp_path, authority, node) as made:
        before = (await scraped(node)).value("choria_broker_gate_seconds_count", identity=IDENTITY)
        async with client(made, authority.context(authority.issue("bob.mcollective"))):
            seen = await scraped(node)
        assert before is not None
        assert seen.value("choria_broker_gate_seconds_count") == before + 1
        assert seen.value("choria_broker_gate_seconds_bucket", le="1.5") == before + 1
        assert 0 < (seen.value("choria_broker_gate_seconds_sum") or 0) < 1.5 * (before + 1)
        assert seen.value("choria_broker_gate_expired_total") == 0
        assert seen.value("choria_broker_gate_oversized_total") == 0


async def test_certificates_findings_and_reloads(tmp_path: Path, authority: Authority) -> None:
    node = Node(IDENTITY)
    config = configure(tmp_path, authority, node, network__gateway_remotes="nowhere", network__gateway_port=free_port())
    async with NetworkBroker.from_file(config) as made:
        seen = await scraped(node)
        files = made.settings.tls.files
        assert files is not None
        name = "choria_broker_certificate_expiry_timestamp_seconds"
        for role, file in (("broker", files.certificate), ("ca", files.ca)):
            (expected,) = [each.expires for each in made.statistics.certificates if each.source.file == file]
            assert seen.value(name, role=role, file=str(file)) == expected > 1_700_000_000
        assert seen.value("choria_broker_config_findings", severity="skip") == seen.value("choria_broker_config_errors")
        assert (seen.value("choria_broker_config_findings", severity="skip") or 0) >= 1
        assert seen.value("choria_broker_config_findings", severity="refuse") == 0
        outcomes = {dict(labels)["outcome"] for each, labels in seen.samples if each == "choria_broker_reloads_total"}
        assert outcomes == {"applied", "unchanged", "partial", "refused"}


@pytest.mark.parametrize(("use", "count"), [(True, 1), (False, 0)])
def test_srv_records_asked_for_are_counted(tmp_path: Path, authority: Authority, use: bool, count: int) -> None:
    settings: dict[str, Setting] = {"plugin__choria__use_srv": use, "plugin__choria__srv_domain": "choria.test"}
    config = configure(tmp_path, authority, Node(IDENTITY), **settings)
    with name_server({}) as server:
        found = load(config, discovery=Discovery(srv=functools.partial(lookup_srv, resolver=server.resolver())))
        assert len(server.asked) == count
    assert found.settings is not None
    made = NetworkBroker(found.settings, findings=found.findings, loaded=found)
    for name, expected in (("lookups", count), ("cachemiss", count), ("cachehits", 0)):
        value = made.registry.get_sample_value(f"choria_dns_srv_{name}", {"identity": IDENTITY})
        assert value == (expected if count else None)
