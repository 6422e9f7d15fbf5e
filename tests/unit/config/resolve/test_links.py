"""Clusters, gateways and leafnodes."""

from __future__ import annotations

import pytest

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.secret import MASK
from support.scenario import NET, net, scenario

PEERS = "peers = nats://broker1.example.net:5222, broker2.example.net:5222, broker3.example.net:5222"


def test_a_cluster_of_three() -> None:
    cluster = net(PEERS, "peer_user = u", "peer_password = p").ok.network.cluster
    assert [peer.host for peer in cluster.peers] == [f"broker{number}.example.net" for number in (1, 2, 3)]
    assert [route.host for route in cluster.routes] == ["broker2.example.net", "broker3.example.net"]
    assert (cluster.port, cluster.user, cluster.tls, cluster.source) == (5222, "u", True, "setting")
    assert cluster.password is not None
    assert cluster.password.reveal() == "p"


def test_peer_port() -> None:
    assert net(PEERS, "peer_port = 4223").ok.network.cluster.port == 4223
    assert net("peer_port = 4223").ok.network.cluster.port == 0


@pytest.mark.parametrize("line", ["peer_user = u", "peer_password = p"])
def test_half_a_cluster_login(line: str) -> None:
    assert net(PEERS, line).one("half-login").severity is Severity.REFUSE


def test_clear_text_links_are_warned_about() -> None:
    found = net(PEERS, "peer_tls = false")
    assert found.one("clear-text-cluster").severity is Severity.WARN
    assert not found.ok.network.cluster.tls
    assert "clear-text-cluster" not in net("peer_tls = false").codes()
    found = net("gateway_port = 7222", "gateway_remotes = x", "gateway_remote.x.urls = a:1", "gateway_tls = no")
    assert found.one("clear-text-gateway").severity is Severity.WARN
    assert not found.ok.network.gateway.tls


CHORIA = """
identity = broker1.example.net
plugin.choria.broker_network = true
plugin.security.provider = choria
plugin.security.choria.certificate = /tls/cert.pem
plugin.security.choria.key = /tls/key.pem
plugin.security.choria.token_file = /t
plugin.security.choria.seed_file = /s
plugin.security.choria.trusted_signers = 9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c
"""
ONE_GATEWAY = ["gateway_port = 7222", "gateway_remotes = x", "gateway_remote.x.urls = a:1"]


@pytest.mark.parametrize(
    ("lines", "key", "way_out"),
    [([PEERS], "peers", "peer_tls = false"), (ONE_GATEWAY, "gateway_remotes", "gateway_tls = false")],
)
def test_links_that_verify_need_a_ca(lines: list[str], key: str, way_out: str) -> None:
    text = CHORIA + "".join(f"{NET}{line}\n" for line in lines)
    finding = scenario(text).one("links-without-ca")
    assert (finding.severity, finding.key) == (Severity.REFUSE, NET + key)
    for remedy in ("plugin.security.choria.ca", NET + way_out):
        assert remedy in finding.remedy
    for other in (
        scenario(text + "plugin.security.choria.ca = /tls/ca.pem"),
        scenario(text + NET + way_out),
        scenario(text, overrides=Overrides(disable_tls=True)),
        scenario(CHORIA),
    ):
        assert other.settings is not None
        assert "links-without-ca" not in other.codes()


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("leafnode_remote.x.account = choria", True),
        ("leafnode_remote.x.tls.ca = /hub-ca.pem", False),
        ("leafnode_remote.x.tls.disable = yes", False),
    ],
)
def test_a_remote_that_cannot_be_verified_without_a_ca(line: str, *, warned: bool) -> None:
    text = CHORIA + "".join(f"{NET}{each}\n" for each in (*LEAFNODE, line))
    found = scenario(text)
    assert len(found.ok.network.leafnodes.remotes) == 1
    assert ("remote-not-verified" in found.codes(Severity.WARN)) is warned
    assert "remote-not-verified" not in scenario(text + "plugin.security.choria.ca = /tls/ca.pem").codes()


def test_leafnodes_that_cannot_log_in_are_warned_about() -> None:
    text = CHORIA + NET + "leafnode_port = 7422\n"
    assert scenario(text).one("leafnodes-without-certificates").severity is Severity.WARN
    assert scenario(text + "plugin.security.choria.ca = /tls/ca.pem").findings == ()
    found = net("leafnode_port = 7422", overrides=Overrides(disable_tls=True))
    assert found.one("leafnodes-without-certificates").severity is Severity.WARN


def test_gateways() -> None:
    gateway = net(
        "gateway_port = 7222",
        "gateway_name = NewYork",
        "gateway_remotes = Tokyo, London",
        "gateway_remote.Tokyo.urls = nats://a:1, b:2",
        "gateway_remote.London.urls = c:3",
        "gateway_remote.London.tls.cert = /l/cert.pem",
        "gateway_remote.London.tls.key = /l/key.pem",
        "gateway_remote.London.tls.ca = ~/ca.pem",
    ).ok.network.gateway
    assert (gateway.name, gateway.port, gateway.tls) == ("NewYork", 7222, True)
    tokyo, london = gateway.remotes
    assert [url.authority for url in tokyo.urls] == ["a:1", "b:2"]
    assert not tokyo.tls.custom
    assert london.tls.custom
    assert str(london.tls.ca) == "/root/ca.pem"


@pytest.mark.parametrize("lines", [["gateway_port = 7222"], ["gateway_remotes = x", "gateway_remote.x.urls = a:1"]])
def test_half_a_gateway(lines: list[str]) -> None:
    found = net(*lines)
    assert found.one("half-gateway").severity is Severity.WARN
    assert (found.ok.network.gateway.port, found.ok.network.gateway.remotes) == (0, ())


def test_a_cluster_name_with_blanks() -> None:
    assert net("gateway_name = New York").one("bad-value").severity is Severity.REFUSE


GATEWAY = ["gateway_port = 7222", "gateway_remotes = x", "gateway_remote.x.urls = a:1"]
LEAFNODE = ["leafnode_remotes = x", "leafnode_remote.x.url = a:1"]


def test_leafnodes() -> None:
    leafnodes = net(
        "leafnode_port = 7422",
        "leafnode_remotes = my.site",
        "leafnode_remote.my.site.url = hub:7422",
        "leafnode_remote.my.site.credentials = ~/hub.creds",
        "leafnode_remote.my.site.account = edge",
        "accounts = edge",
    ).ok.network.leafnodes
    assert leafnodes.port == 7422
    (remote,) = leafnodes.remotes
    assert (remote.name, remote.account, str(remote.credentials)) == ("my.site", "edge", "/root/hub.creds")
    assert remote.urls == (Endpoint("nats-leaf", "hub", 7422),)


def test_the_provisioning_account_exists_with_its_password() -> None:
    found = net(*LEAFNODE, "leafnode_remote.x.account = provisioning", "provisioning.client_password = p")
    assert len(found.ok.network.leafnodes.remotes) == 1


@pytest.mark.parametrize(
    ("lines", "path", "effect"),
    [
        (["leafnode_remote.x.credential = /a.creds"], "/a.creds", "it is used"),
        (
            ["leafnode_remote.x.credential = /a.creds", "leafnode_remote.x.credentials = /b.creds"],
            "/b.creds",
            "ignored",
        ),
    ],
)
def test_both_spellings_of_credentials(lines: list[str], path: str, effect: str) -> None:
    found = net(*LEAFNODE, *lines)
    assert str(found.ok.network.leafnodes.remotes[0].credentials) == path
    assert effect in found.one("alias-key").effect


STREAMS = [*GATEWAY, "stream.store = /store"]


def test_gateways_with_streams_need_peers() -> None:
    finding = net(*STREAMS).one("gateway-streams-without-peers")
    assert finding.severity is Severity.REFUSE
    assert "gateway-streams-without-peers" in net(*STREAMS, "peers = broker1.example.net:5222").codes()
    assert "gateway-streams-without-peers" not in net(*STREAMS, PEERS).codes()
    by_leafnode = [*LEAFNODE, "leafnode_remote.x.account = system"]
    assert "gateway-streams-without-peers" not in net(*STREAMS, *by_leafnode).codes()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["peers = b1:5222, b2:5222"], ""),
        (["peers = 192.0.2.1:5222, 192.0.2.2:5222"], "open-peer-port"),
        (["peers = broker1.example.net:5222"], "open-peer-port"),
        (["peers = broker1.example.net:5222, b2:5222"], ""),
        (["peers = 192.0.2.1:5222, 192.0.2.2:5222", "peer_user = u", "peer_password = p"], ""),
        (["peers = b1:5222, b2:5222", "peer_tls = false"], "open-peer-port"),
        (["gateway_port = 7001", "gateway_remotes = A", "gateway_remote.A.urls = a:7001"], ""),
        (["gateway_port = 7001", "gateway_remotes = A", "gateway_remote.A.urls = 192.0.2.1:7001"], "open-gateway-port"),
        (
            ["gateway_port = 7001", "gateway_remotes = A", "gateway_remote.A.urls = a:7001", "gateway_tls = false"],
            "open-gateway-port",
        ),
    ],
)
def test_a_port_that_any_certificate_opens_is_a_warning(lines: list[str], code: str) -> None:
    found = [each for each in net(*lines).codes() if each.startswith("open-")]
    assert found == ([code] if code else [])


def test_a_peer_password_that_the_engine_would_take_for_a_hash_is_refused() -> None:
    finding = net("peers = b1:5222", "peer_user = u", "peer_password = $2a$11$abcdefghijklmnopqrstuv").one("half-login")
    assert (finding.severity, finding.value) == (Severity.REFUSE, MASK)
