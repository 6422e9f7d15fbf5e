from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.engine.conf.render import client_advertise, render
from choria_broker.settings.broker import LogLevel
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.links import (
    Cluster,
    Gateway,
    GatewayRemote,
    LeafnodeRemote,
    Leafnodes,
    SubjectMapping,
    Websocket,
)
from choria_broker.settings.network import Network, Provisioning
from choria_broker.settings.secret import MASK, Secret
from choria_broker.settings.security import Issuer, Security
from choria_broker.settings.streams import Streams
from choria_broker.settings.tls import RemoteTls, Tls
from choria_broker.values import replace
from support.ready_settings import FILES, SECURE, settings

PLAIN = Tls(enabled=False, everywhere=False, verify_clients=False, files=None)


def test_the_least_configuration() -> None:
    assert (
        render(settings()).text
        == """\
server_name: "broker1.example.net"
host: "::"
port: 4222
write_deadline: "5s"
max_connections: 50000
max_subscriptions: 20000
logtime: false
debug: false
client_advertise: "broker1.example.net:4222"
tls: {
  cert_file: "/ssl/cert.pem"
  key_file: "/ssl/key.pem"
  ca_file: "/ssl/ca.pem"
  min_version: "1.2"
  timeout: 2
}
cluster: {
  name: "CHORIA"
}
system_account: "system"
accounts: {
  system: { }
  choria: { }
}
authorization: {
  timeout: 2
}
"""
    )


@pytest.mark.parametrize(
    ("tls", "optional", "has_ca"),
    [
        (SECURE, True, True),
        (replace(SECURE, verify_clients=False), False, False),
        (PLAIN, False, False),
    ],
)
def test_certificates_are_never_demanded_and_are_optional_where_they_can_be_verified(
    tls: Tls, *, optional: bool, has_ca: bool
) -> None:
    rendered = render(settings(tls=tls))
    assert rendered.optional_client_certificates is optional
    assert ("ca_file" in rendered.text) is has_ca
    assert "verify" not in rendered.text


def test_free_ports_and_debug() -> None:
    rendered = render(replace(settings(Network(client_port=0)), loglevel=LogLevel.DEBUG)).text
    assert "port: -1\n" in rendered
    assert "http" not in rendered
    assert "debug: true\n" in rendered
    assert "client_advertise" not in rendered


def test_level_debug_is_the_engines_too() -> None:
    assert "debug: true\n" in render(replace(settings(), loglevel=LogLevel.DEBUG)).text


@pytest.mark.parametrize(
    ("network", "advertised"),
    [
        (Network(), "broker1.example.net:4222"),
        (Network(client_port=4333), "broker1.example.net:4333"),
        (Network(public_url="choria.example.net:4222"), "choria.example.net:4222"),
        (Network(client_port=0), ""),
    ],
)
def test_clients_are_told_the_public_address(network: Network, advertised: str) -> None:
    assert client_advertise(settings(network)) == advertised


PEERS = (Endpoint("nats", "broker1.example.net", 5222), Endpoint("nats", "broker2.example.net", 5222))
CLUSTER = Cluster(peers=PEERS, routes=PEERS[1:], port=5222)


def test_routes_have_tls_and_the_login_in_escaped_form() -> None:
    cluster = replace(CLUSTER, user="cluster", password=Secret("p@ss/word"))
    rendered = render(settings(Network(cluster=cluster)))
    assert '"nats://cluster:p%40ss%2Fword@broker2.example.net:5222"' in rendered.text
    assert "verify: true" in rendered.text
    assert "no_advertise: true\n  pool_size: -1\n" in rendered.text
    assert 'user: "cluster"' in rendered.text
    assert "ss%2Fword" not in rendered.masked
    assert "p@ss" not in rendered.masked
    assert MASK in rendered.masked


def test_a_peer_written_with_its_own_login_keeps_it() -> None:
    route = Endpoint("nats", "::1", 5222, user="u", password=Secret("p"))
    rendered = render(settings(Network(cluster=Cluster(peers=(route,), routes=(route,), port=5222))))
    assert '"nats://u:p@[::1]:5222"' in rendered.text


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (CLUSTER, "verify_cert_and_check_known_urls: true"),
        (replace(CLUSTER, user="u", password=Secret("p")), "verify: true"),
        (replace(CLUSTER, routes=(Endpoint("nats", "192.0.2.1", 5222),)), "verify: true"),
        (replace(CLUSTER, routes=(Endpoint("nats", "::1", 5222),)), "verify: true"),
        (replace(CLUSTER, routes=()), "verify: true"),
    ],
)
def test_without_a_login_only_listed_names_may_join(cluster: Cluster, expected: str) -> None:
    assert expected in render(settings(Network(cluster=cluster))).text.split("cluster:")[1]


@pytest.mark.parametrize(
    ("listed", "advertised"),
    [
        ("Broker1.example.net", 'advertise: "Broker1.example.net:5222"\n'),
        ("192.0.2.1", ""),
        ("localhost", ""),
    ],
)
def test_other_brokers_are_told_the_name_that_is_in_the_list(listed: str, advertised: str) -> None:
    here, there = Endpoint("nats", listed, 5222), PEERS[1]
    cluster = render(settings(Network(cluster=Cluster(peers=(here, there), routes=(there,), port=5222)))).text
    remotes = (
        GatewayRemote(name="CHORIA", urls=(here,), tls=RemoteTls()),
        GatewayRemote(name="B", urls=(there,), tls=RemoteTls()),
    )
    gateway = render(settings(Network(gateway=Gateway(port=7001, remotes=remotes)))).text
    for text in (cluster.split("cluster: {")[1], gateway.split("gateway: {")[1]):
        assert ("  advertise:" in text) is bool(advertised)
        assert advertised in text


@pytest.mark.parametrize(("cluster_tls", "tls"), [(False, SECURE), (True, PLAIN)])
def test_routes_are_clear_text_only_when_told_so_or_when_there_is_no_tls(tls: Tls, *, cluster_tls: bool) -> None:
    rendered = render(settings(Network(cluster=replace(CLUSTER, tls=cluster_tls)), tls)).text
    assert "verify" not in rendered.split("cluster:")[1]


def test_gateways_inherit_tls_or_have_their_own() -> None:
    def remote(name: str, tls: RemoteTls) -> GatewayRemote:
        return GatewayRemote(name=name, urls=(Endpoint("nats", f"{name.lower()}.example.net", 7001),), tls=tls)

    own = RemoteTls(certificate=Path("/l/cert.pem"), key=Path("/l/key.pem"), ca=Path("/l/ca.pem"), verify=False)
    gateway = Gateway(
        name="NewYork",
        port=7001,
        remotes=(
            remote("Tokyo", RemoteTls()),
            remote("London", own),
            remote("Plain", RemoteTls(disabled=True)),
            remote("Loose", RemoteTls(verify=False)),
        ),
    )
    listener, remotes = render(settings(Network(gateway=gateway))).text.split("gateways: [")
    assert "verify_cert_and_check_known_urls: true" in listener
    blocks = remotes.split("name:")
    tokyo, london, plain, loose = blocks[1:5]
    assert "/ssl/cert.pem" in tokyo
    assert "insecure" not in tokyo
    assert "/l/ca.pem" in london
    assert "insecure: true" in london
    assert "tls" not in plain
    assert "/ssl/cert.pem" in loose
    assert "insecure: true" in loose


@pytest.mark.parametrize(
    "gateway", [Gateway(port=7001), Gateway(remotes=(GatewayRemote(name="a", urls=(), tls=RemoteTls()),))]
)
def test_a_gateway_needs_port_and_remotes(gateway: Gateway) -> None:
    assert "gateway:" not in render(settings(Network(gateway=gateway))).text


@pytest.mark.parametrize(
    ("public_url", "advertised"),
    [
        ("choria.example.net:4222", 'advertise: "choria.example.net:7422"'),
        ("choria.example.net", 'advertise: "choria.example.net"'),
        ("[::1]:4222", 'advertise: "[::1]:7422"'),
        ("[2001:db8::1]", 'advertise: "[2001:db8::1]"'),
    ],
)
def test_leafnodes_are_told_the_public_host_with_their_port(public_url: str, advertised: str) -> None:
    text = render(settings(Network(public_url=public_url, leafnodes=Leafnodes(port=7422)))).text
    assert advertised in text.split("leafnodes:")[1]


def test_leafnode_remotes_need_no_listener() -> None:
    remote = LeafnodeRemote(
        name="OPS",
        urls=(Endpoint("nats-leaf", "ops", 7422),),
        account="choria",
        credentials=Path("/etc/ops.creds"),
        tls=RemoteTls(),
    )
    leafnodes = render(settings(Network(leafnodes=Leafnodes(remotes=(remote,))))).text.split("leafnodes:")[1]
    assert '"nats-leaf://ops:7422"' in leafnodes
    assert 'credentials: "/etc/ops.creds"' in leafnodes
    assert 'cert_file: "/ssl/cert.pem"' in leafnodes
    assert "host:" not in leafnodes


def test_an_outgoing_link_without_a_ca_cannot_verify() -> None:
    remote = LeafnodeRemote(
        name="OPS", urls=(Endpoint("nats-leaf", "ops", 7422),), account="choria", credentials=None, tls=RemoteTls()
    )
    tls = replace(SECURE, verify_clients=False, files=replace(FILES, ca=None))
    assert "insecure: true" in render(settings(Network(leafnodes=Leafnodes(remotes=(remote,))), tls)).text


@pytest.mark.parametrize(("tls", "expected"), [(SECURE, "tls: {"), (PLAIN, "no_tls: true")])
def test_websockets_use_tls_like_clients(tls: Tls, expected: str) -> None:
    websocket = Websocket(port=4333, advertise="ws.example.net:443")
    text = render(settings(Network(websocket=websocket), tls)).text.split("websocket:")[1]
    assert expected in text
    assert 'advertise: "ws.example.net:443"' in text


def test_streams_and_mappings_live_in_account_choria() -> None:
    mapping = SubjectMapping(name="reg", source="choria.registration.*", destination="x.{{wildcard(1)}}")
    network = Network(streams=Streams(store=Path("/var/lib/choria")), mappings=(mapping,))
    text = render(settings(network)).text
    assert 'store_dir: "/var/lib/choria"\n  strict: false' in text
    assert 'choria: {\n    jetstream: "enabled"' in text
    assert '"choria.registration.*": "x.{{wildcard(1)}}"' in text


@pytest.mark.parametrize(
    ("sync", "expected"), [(None, ""), (0.0, 'sync_interval: "always"'), (10.0, 'sync_interval: "10s"')]
)
def test_how_often_streams_reach_the_disk_is_the_operators_choice(sync: float | None, expected: str) -> None:
    text = render(settings(Network(streams=Streams(store=Path("/s"), sync=sync)))).text
    assert expected in text
    assert ("sync_interval" in text) is bool(expected)


def test_a_provisioner_password_makes_the_provisioning_account_and_what_crosses_its_border() -> None:
    text = render(settings(Network(provisioning=Provisioning(client_password=Secret("s"))))).text
    assert text.count('account: "provisioning"') == 1
    assert text.count('account: "choria"') == 3
    assert text.count('"$KV.CHORIA_LEADER_ELECTION.provisioner"') == 4
    assert 'to: "choria.streams.$KV.CHORIA_LEADER_ELECTION.provisioner"' in text
    assert "provisioning" not in render(settings()).text


def test_declared_accounts_exist() -> None:
    assert "EDGE: { }" in render(settings(Network(accounts=("EDGE", "choria")))).text


ISSUERS = Security(
    issuers=(
        Issuer(name="acme", public_key="ab", account="ACME"),
        Issuer(name="globex", public_key="cd", account="ACME"),
        Issuer(name="choria", public_key="ef"),
    )
)


@pytest.mark.parametrize(("store", "acme"), [(None, "{ }"), (Path("/s"), '{\n    jetstream: "enabled"\n  }')])
def test_organizations_have_accounts_with_streams_when_those_are_on(store: Path | None, acme: str) -> None:
    network = Network(accounts=("EDGE",), streams=Streams(store=store))
    text = render(replace(settings(network), security=ISSUERS)).text.split("accounts: ")[1]
    assert f"ACME: {acme}" in text
    assert text.count("ACME") == 1
    assert "EDGE: { }" in text
    assert text.count("jetstream") == (2 if store else 0)
    assert "import" not in text
    assert "export" not in text


def test_an_account_that_is_declared_and_an_organizations_has_streams() -> None:
    network = Network(accounts=("ACME",), streams=Streams(store=Path("/s")))
    text = render(replace(settings(network), security=ISSUERS)).text
    assert 'ACME: {\n    jetstream: "enabled"' in text


def test_accounts_of_organizations_come_with_their_issuers() -> None:
    assert "ACME" not in render(settings()).text


@pytest.mark.parametrize(
    ("account", "tls", "allowed"),
    [("EDGE", SECURE, True), ("", SECURE, False), ("EDGE", PLAIN, False), ("", PLAIN, False)],
)
def test_clear_text_is_let_in_beside_tls_only_for_unverified_clients(account: str, tls: Tls, *, allowed: bool) -> None:
    rendered = render(settings(Network(accounts=("EDGE",), unverified_account=account), tls))
    assert ("allow_non_tls: true\n" in rendered.text) is allowed
    assert rendered.optional_client_certificates is (tls is SECURE)


def test_fractions_of_seconds_survive() -> None:
    text = render(settings(Network(write_deadline=0.25, auth_timeout=1.5))).text
    assert 'write_deadline: "250ms"' in text
    assert 'timeout: "1500ms"' in text


def test_secrets_are_not_in_what_is_shown_of_a_rendering() -> None:
    cluster = replace(CLUSTER, user="cluster", password=Secret("hunter2"))
    assert "hunter2" not in repr(render(settings(Network(cluster=cluster))))
