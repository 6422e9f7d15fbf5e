"""Which remotes of the configuration are connected."""

from __future__ import annotations

import pytest

from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.links import Gateway, GatewayRemote, LeafnodeRemote, Leafnodes
from choria_broker.settings.network import Network
from choria_broker.settings.tls import RemoteTls
from choria_broker.stats.links import Link, LinkKind, links
from choria_broker.stats.readings import Leafnode, Readings, Server


def remote(name: str, host: str, port: int = 7422, account: str = "choria") -> LeafnodeRemote:
    return LeafnodeRemote(
        name=name, urls=(Endpoint("nats-leaf", host, port),), account=account, credentials=None, tls=RemoteTls()
    )


def connection(
    host: str, port: int = 7422, account: str = "choria", *, dialled: bool = True, name: str = ""
) -> Leafnode:
    return Leafnode(host=host, port=port, account=account, dialled=dialled, name=name, rtt_ms=0.25)


@pytest.mark.parametrize(
    ("remotes", "connections", "connected"),
    [
        pytest.param([remote("a", "10.0.0.1")], [], set(), id="none"),
        pytest.param([remote("a", "10.0.0.1")], [connection("10.0.0.1")], {"a"}, id="by address"),
        pytest.param([remote("a", "hub.example.net")], [connection("10.0.0.1")], {"a"}, id="by port"),
        pytest.param([remote("a", "hub.example.net")], [connection("10.0.0.9", 7999)], {"a"}, id="sent on"),
        pytest.param([remote("a", "10.0.0.1")], [connection("10.0.0.1", account="other")], set(), id="other account"),
        pytest.param([remote("a", "10.0.0.1")], [connection("10.0.0.1", dialled=False)], set(), id="accepted"),
        pytest.param(
            [remote("a", "10.0.0.1"), remote("b", "10.0.0.2")], [connection("10.0.0.2")], {"b"}, id="the right one"
        ),
        pytest.param(
            [remote("a", "hub.example.net", 1), remote("b", "hub.example.net", 2)],
            [connection("10.0.0.1", 2)],
            {"b"},
            id="the right port",
        ),
        pytest.param(
            [remote("a", "one.example.net"), remote("b", "10.0.0.2")],
            [connection("10.0.0.2"), connection("10.0.0.1")],
            {"a", "b"},
            id="what is certain first",
        ),
        pytest.param(
            [remote("a", "one.example.net"), remote("b", "two.example.net")],
            [connection("10.0.0.1")],
            {"a"},
            id="one connection is one remote",
        ),
        pytest.param(
            [remote("a", "one.example.net"), remote("b", "two.example.net")],
            [connection("10.0.0.2", name="two.example.net")],
            {"b"},
            id="by the name of the other side",
        ),
    ],
)
def test_leafnodes(remotes: list[LeafnodeRemote], connections: list[Leafnode], connected: set[str]) -> None:
    network = Network(leafnodes=Leafnodes(remotes=tuple(remotes)))
    found = links(network, Readings(Server(), tuple(connections)))
    assert [link.name for link in found] == [each.name for each in remotes]
    assert {link.name for link in found if link.connected} == connected
    assert {link.kind for link in found} == {LinkKind.LEAFNODE}
    assert {link.rtt_ms for link in found if link.connected} <= {0.25}
    assert {link.rtt_ms for link in found if not link.connected} <= {None}


def test_gateways_but_for_the_own_cluster() -> None:
    remotes = tuple(GatewayRemote(name=name, urls=(), tls=RemoteTls()) for name in ("TOKYO", "HOME", "LONDON"))
    network = Network(gateway=Gateway(name="HOME", port=7222, remotes=remotes))
    assert links(network, Readings(Server(), gateways={"LONDON": 0.5, "STRANGER": None})) == (
        Link(LinkKind.GATEWAY, "TOKYO", connected=False),
        Link(LinkKind.GATEWAY, "LONDON", connected=True, rtt_ms=0.5),
    )


def test_without_readings_nobody_knows() -> None:
    gateway = Gateway(name="HOME", remotes=(GatewayRemote(name="TOKYO", urls=(), tls=RemoteTls()),))
    network = Network(gateway=gateway, leafnodes=Leafnodes(remotes=(remote("hub", "10.0.0.1"),)))
    assert links(network, None) == (Link(LinkKind.GATEWAY, "TOKYO"), Link(LinkKind.LEAFNODE, "hub"))
    assert links(network, None)[0].connected is None
