"""Which remotes of the configuration are connected."""

from __future__ import annotations

import pytest

from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.links import Gateway as Gateways
from choria_broker.settings.links import GatewayRemote, LeafnodeRemote, Leafnodes
from choria_broker.settings.network import Network
from choria_broker.settings.tls import RemoteTls
from choria_broker.stats.links import Link, LinkKind, links
from choria_broker.stats.membership import Member, Membership
from choria_broker.stats.readings import Gateway, Leafnode, Readings, Route, Server
from choria_broker.values import replace


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
    found = [link for link in links(network, Readings(Server(), tuple(connections)), Membership()) if link.listed]
    assert [link.name for link in found] == [each.name for each in remotes]
    assert {link.name for link in found if link.connected} == connected
    assert {link.kind for link in found} == {LinkKind.LEAFNODE}
    assert {link.rtt_ms for link in found if link.connected} <= {0.25}
    assert {link.rtt_ms for link in found if not link.connected} <= {None}


def test_gateways_but_for_the_own_cluster() -> None:
    remotes = tuple(GatewayRemote(name=name, urls=(), tls=RemoteTls()) for name in ("TOKYO", "HOME", "LONDON"))
    network = Network(gateway=Gateways(name="HOME", port=7222, remotes=remotes))
    london = Gateway("lon1", "192.0.2.9", 7222, 0.5, 2.0, "2.15.2")
    assert links(network, Readings(Server(), gateways={"LONDON": london, "STRANGER": Gateway()}), Membership()) == (
        Link(LinkKind.GATEWAY, "TOKYO", connected=False),
        Link(
            LinkKind.GATEWAY,
            "LONDON",
            connected=True,
            rtt_ms=0.5,
            server="lon1",
            address="192.0.2.9:7222",
            answered=2.0,
            version="2.15.2",
        ),
    )


def test_members_by_all_connections_to_each() -> None:
    others = (Member("b2", "192.0.2.2:5222", connected=True), Member("", "192.0.2.3:5222", connected=False))
    made = Route("b2", "192.0.2.2", 5222, solicited=True, rtt_ms=0.5, answered=1.0)
    came = Route("b2", "192.0.2.2", 40000, rtt_ms=2.0, answered=7.0, version="2.15.2")
    both = links(Network(), Readings(Server(), routes=(came, made)), Membership(members=others))
    assert both == (
        Link(
            LinkKind.MEMBER,
            "b2",
            connected=True,
            rtt_ms=2.0,
            server="b2",
            address="192.0.2.2:5222",
            places=("192.0.2.2:5222",),
            answered=7.0,
            version="2.15.2",
        ),
        Link(LinkKind.MEMBER, "192.0.2.3:5222", connected=False, places=("192.0.2.3:5222",)),
    )
    for alone in (came, replace(came, solicited=True)):
        (found, _) = links(Network(), Readings(Server(), routes=(alone,)), Membership(members=others))
        assert found.address == "192.0.2.2"
    (unlisted,) = links(Network(), Readings(Server()), Membership(members=(Member("x", "", connected=True),)))
    assert (unlisted.listed, unlisted.address) == (False, "")


def test_leafnodes_that_connected_by_themselves_are_not_asked_for() -> None:
    came = connection("192.0.2.7", 40000, dialled=False, name="edge")
    (found,) = links(Network(), Readings(Server(), (came,)), Membership())
    assert (found.name, found.address, found.connected, found.listed) == ("edge", "192.0.2.7", True, False)


def test_without_readings_nobody_knows() -> None:
    gateway = Gateways(name="HOME", remotes=(GatewayRemote(name="TOKYO", urls=(), tls=RemoteTls()),))
    network = Network(gateway=gateway, leafnodes=Leafnodes(remotes=(remote("hub", "10.0.0.1"),)))
    found = links(network, None, Membership(members=(Member("b2", "b2:5222", connected=False),)))
    assert [(link.kind, link.name, link.connected) for link in found] == [
        (LinkKind.MEMBER, "b2", None),
        (LinkKind.GATEWAY, "TOKYO", None),
        (LinkKind.LEAFNODE, "hub", None),
    ]
