"""Whatever is accepted as an address makes a file that the engine takes; whatever is not is left out by name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choria_broker.broker import NetworkBroker
from choria_broker.config.surroundings.facts import Overrides, SrvAnswer
from choria_broker.engine import binary
from choria_broker.engine.conf.render import client_advertise, render
from choria_broker.settings.broker import Settings
from support.fuzzing import examples
from support.scenario import net
from support.testbed import Authority, configuration, free_port

HOSTS = st.one_of(
    st.sampled_from(
        [
            "broker1.example.net",
            "Broker1.Example.NET.",
            "localhost.",
            "b\u00fccher.example.",
            "my_broker",
            "_a._b",
            "[::1]",
            "[::ffff:192.0.2.1]",
            "[fe80::1%eth0]",
            "[FE80::1%25eth0]",
            "[fe80::1%25]",
            "[fe80::1%7]",
            "[fe80::a%br-lan.7]",
            "fe80::1",
            "192.0.2.1.",
            "127.1",
            ".",
            "*",
            "",
        ]
    ),
    st.text("aZ09.-_[]:%\u00fc\u3002 \\\"'{}$&=+~!|<>^`\t", max_size=10),
    st.ip_addresses().map(lambda address: f"[{address}]"),
)
ADDRESSES = st.builds(
    lambda scheme, login, host, port, rest: f"{scheme}{login}{host}{port}{rest}",
    st.sampled_from(["", "", "nats://", "TLS://", "nats-route://", "ws://", "http://", "://", "//"]),
    st.sampled_from(["", "", "", "u:p@", "u:p%40%zz/@", "@", ":@", "u@"]),
    HOSTS,
    st.one_of(
        st.sampled_from(["", ":", ":0", ":65536", ":-1", ":04222", ":\uff14"]), st.integers(1, 65535).map(":{}".format)
    ),
    st.sampled_from(["", "", "", "/", "/x", "?a=b", "#f"]),
)
LISTS = st.lists(ADDRESSES.filter(lambda text: "," not in text), min_size=1, max_size=12)


def taken(accepted: Settings) -> None:
    """Have the engine judge the file of settings without TLS."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "engine.conf"
        path.write_text(render(accepted).text, encoding="utf-8")
        binary.check(binary.locate(), path)


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LISTS, LISTS, LISTS, st.lists(st.tuples(HOSTS, st.integers(0, 65535)), max_size=8))
def test_the_engine_takes_every_address_that_is_accepted(
    peers: list[str], gateways: list[str], leafnodes: list[str], targets: list[tuple[str, int]]
) -> None:
    found = net(
        f"peers = broker9.example.net:5222, {', '.join(peers)}",
        "gateway_port = 7222",
        "gateway_remotes = good, odd",
        "gateway_remote.good.urls = a.example.net:7222",
        f"gateway_remote.odd.urls = {', '.join(gateways)}",
        "leafnode_remotes = good, odd",
        "leafnode_remote.good.url = a.example.net:7422",
        f"leafnode_remote.odd.url = {', '.join(leafnodes)}",
        facts={"srv": SrvAnswer("r", tuple(targets)) if targets else None},
        overrides=Overrides(disable_tls=True),
    )
    network = found.ok.network
    assert network.cluster.peers
    assert "good" in [remote.name for remote in network.gateway.remotes]
    assert "good" in [remote.name for remote in network.leafnodes.remotes]
    taken(found.ok)


async def test_the_engine_starts_with_what_it_is_told_to_tell(tmp_path: Path, authority: Authority) -> None:
    """Addresses told to others are read by the library only when it opens its listeners."""
    told: dict[str, str | int | bool | Path] = {
        "network__public_url": "nats://[FE80::1%25eth0]:4222",
        "network__websocket_advertise": "wss://B\u00fccher.example.:443/",
        "network__websocket_port": free_port(),
        "network__leafnode_port": free_port(),
        "network__peers": "Broker.Example.NET.:5222, [fe80::1%lo]:5222, b\u00fccher.invalid:5222",
        "network__peer_port": free_port(),
    }
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **told)) as broker:
        assert broker.ports.client


async def test_an_identity_that_is_no_host_is_not_told(tmp_path: Path, authority: Authority) -> None:
    for number, (identity, advertised) in enumerate(
        (("fd00::7", "[fd00::7]:{}"), ("site:a/b", ""), ("[x", ""), ("Broker.example.net.", "broker.example.net:{}"))
    ):
        place = tmp_path / str(number)
        place.mkdir()
        port = free_port()
        config = configuration(place, authority, identity=identity, network__client_port=port)
        async with NetworkBroker.from_file(config) as broker:
            assert broker.ports.client == port
            assert client_advertise(broker.settings) == advertised.format(port)
