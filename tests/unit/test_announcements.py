from __future__ import annotations

import logging
from pathlib import Path

import pytest

from choria_broker.announcements import Announcement, announcements, greeting
from choria_broker.settings.broker import Settings
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.findings import Origin
from choria_broker.settings.links import Cluster, Gateway, GatewayRemote, LeafnodeRemote, Leafnodes, Websocket
from choria_broker.settings.network import Network, Provisioning
from choria_broker.settings.operator import Operator
from choria_broker.settings.secret import Secret
from choria_broker.settings.security import Issuer, Security
from choria_broker.settings.streams import Streams
from choria_broker.settings.tls import RemoteTls, Tls, TlsFiles
from choria_broker.values import replace

FILES = TlsFiles(certificate=Path("/c"), key=Path("/k"), ca=Path("/ca"))
SECURE = Tls(enabled=True, everywhere=True, verify_clients=True, files=FILES)
PLAIN = Tls(enabled=False, everywhere=False, verify_clients=False, files=None)
PEER = Endpoint("nats", "b2", 5222, user="u", password=Secret("hunter2"))


def said(network: Network | None = None, tls: Tls = SECURE, security: Security | None = None) -> list[Announcement]:
    settings = Settings(
        source=Path("/b.conf"),
        identity="b1",
        tls=tls,
        network=network or Network(),
        security=security or Security(),
    )
    return list(announcements(settings))


def info(text: str) -> Announcement:
    return Announcement(logging.INFO, text)


def warning(text: str) -> Announcement:
    return Announcement(logging.WARNING, text)


def test_a_standalone_broker_says_little() -> None:
    assert said() == [info("Skipping clustering configuration without any peers")]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            Network(cluster=Cluster(peers=(PEER,), routes=(PEER,), port=5222)),
            [info("Defaulting Choria Broker Peer port to 5222"), info("Adding nats://b2:5222 as network peer")],
        ),
        (Network(streams=Streams(store=Path("/s"))), [info("Configuring Choria Streams in /s")]),
        (Network(websocket=Websocket(port=4333)), [info("Starting Broker WebSocket support on port 4333")]),
        (
            Network(leafnodes=Leafnodes(port=7422)),
            [info("Starting Broker Leafnode support listening on [::]:7422")],
        ),
        (
            Network(
                leafnodes=Leafnodes(
                    remotes=(
                        LeafnodeRemote(
                            name="OPS", urls=(PEER,), account="choria", credentials=None, tls=RemoteTls(disabled=True)
                        ),
                    )
                )
            ),
            [
                info("Starting Broker Leafnode support with 1 remote connection(s)"),
                warning("Disabling TLS for leafnode remote OPS"),
                info("Added remote Leafnode OPS with remote [nats://b2:5222]"),
            ],
        ),
        (
            Network(
                gateway=Gateway(
                    name="NYC",
                    port=7001,
                    remotes=(GatewayRemote(name="LDN", urls=(PEER,), tls=RemoteTls(ca=Path("/ldn"))),),
                    tls=False,
                )
            ),
            [
                info("Starting Broker Gateway NYC listening on [::]:7001"),
                info("Adding gateway LDN"),
                info("Using custom TLS config for remote Gateway LDN"),
                info("Added remote Gateway LDN with servers nats://b2:5222"),
                warning("Gateway traffic is not encrypted because plugin.choria.network.gateway_tls is false"),
            ],
        ),
        (
            Network(provisioning=Provisioning(client_password=Secret("p"), signer=Path("/signer"))),
            [
                warning("Allowing unverified TLS connections for provisioning purposes"),
                warning("Allowing Provisioner connections"),
            ],
        ),
        (
            Network(client_signers=("a",), server_signers=("b",)),
            [
                warning("Allowing unverified TLS connections for AAA signed clients"),
                warning("Allowing unverified TLS connections for Provisioner signed servers"),
            ],
        ),
    ],
)
def test_each_feature_is_announced(network: Network, expected: list[Announcement]) -> None:
    lines = said(network)
    places = [lines.index(line) for line in expected]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("schemes", "clear"), [(["wss"], False), (["ws"], True), (["nats-leaf"], True), (["wss", "ws"], True)]
)
def test_tls_is_not_called_off_where_the_engine_uses_it_all_the_same(schemes: list[str], *, clear: bool) -> None:
    urls = tuple(Endpoint(scheme, "hq", 8443) for scheme in schemes)
    remote = LeafnodeRemote(name="HQ", urls=urls, account="choria", credentials=None, tls=RemoteTls(disabled=True))
    lines = said(Network(leafnodes=Leafnodes(remotes=(remote,))))
    assert (warning("Disabling TLS for leafnode remote HQ") in lines) is clear


def test_no_password_of_a_peer_is_announced() -> None:
    assert "hunter2" not in repr(said(Network(cluster=Cluster(peers=(PEER,), routes=(PEER,), port=5222))))


def test_clear_text_routes_are_a_warning_that_names_the_key() -> None:
    (line,) = [
        line
        for line in said(Network(cluster=Cluster(peers=(PEER,), routes=(PEER,), port=5222, tls=False)))
        if line.level == logging.WARNING
    ]
    assert "plugin.choria.network.peer_tls" in line.text


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (PLAIN, "Skipping broker TLS set up"),
        (
            replace(SECURE, verify_clients=False),
            "Disabling client certificate verification due to configuration or CLI override",
        ),
    ],
)
def test_weakened_tls_is_a_warning(tls: Tls, expected: str) -> None:
    assert warning(expected) in said(tls=tls)


CLEAR_TEXT = warning("Nobody can log in to this broker: clear text connections are always refused and TLS is off")


@pytest.mark.parametrize("tls", [SECURE, PLAIN])
def test_an_account_for_unverified_clients_is_a_warning_that_names_the_key(tls: Tls) -> None:
    before, after = said(tls=tls), said(Network(accounts=("EDGE",), unverified_account="EDGE"), tls=tls)
    (line,) = [line for line in after if line not in before]
    assert line.level == logging.WARNING
    for word in ("account EDGE", "clear text", "plugin.choria.network.unverified_account"):
        assert word in line.text
    assert [line for line in before if line not in after] == ([CLEAR_TEXT] if tls is PLAIN else [])


def test_clients_with_tokens_only_are_a_warning_that_says_what_signers_alone_do() -> None:
    network = Network(client_signers=("a",), server_signers=("b",), client_anon_tls=True)
    (line,) = [line for line in said(network) if "client_anon_tls" in line.text]
    assert line.level == logging.WARNING
    assert "with signers and without this setting" in line.text
    assert "certificates and with tokens" in line.text
    assert not any("signed servers" in line.text for line in said(network))


def test_accounts_of_organizations_are_announced() -> None:
    lines = said(
        security=Security(
            issuers=(Issuer(name="acme", public_key="ab", account="ACME"), Issuer(name="choria", public_key="cd"))
        )
    )
    assert info("Placing connections of Organization Issuer acme in account ACME") in lines
    assert sum("Placing" in line.text for line in lines) == 1


@pytest.mark.parametrize(
    ("without_token", "expected"),
    [
        (False, "Allowing Provisioner connections subject to JWT claims"),
        (True, "Allowing Provisioner connections without JWT claims for version 1 provisioning"),
    ],
)
def test_issuer_networks(expected: str, *, without_token: bool) -> None:
    network = Network(provisioning=Provisioning(client_password=Secret("p"), provisioner_without_token=without_token))
    lines = said(network, security=Security(issuers=(Issuer(name="choria", public_key="ab"),), choria_ca=True))
    assert info("Loaded Organization Issuer choria with public key ab") in lines
    assert warning("Allowing unverified TLS connections for Organization Issuer issued connections") in lines
    assert warning(expected) in lines
    assert any("Pub-Sub and Stream operations" in line.text for line in lines)


def test_clear_text_gateways_are_a_warning_that_names_the_key() -> None:
    remotes = tuple(
        GatewayRemote(name=name, urls=(PEER,), tls=RemoteTls(disabled=disabled))
        for name, disabled in (("LDN", True), ("SIN", False))
    )
    clear = Gateway(name="NYC", port=7001, remotes=remotes, tls=False)
    told = said(Network(gateway=clear))
    assert warning("Disabling TLS for remote Gateway LDN") in told
    assert not any("SIN" in each.text and "TLS" in each.text for each in told)
    key = "Gateway traffic is not encrypted because plugin.choria.network.gateway_tls is false"
    assert warning(key) in told
    assert warning(key) not in said(Network(gateway=replace(clear, tls=True)))


def test_pages_of_any_site_are_a_warning() -> None:
    told = said(Network(websocket=Websocket(port=4333, origins=("any",))))
    assert [each for each in told if "any site" in each.text] == [told[-1]]
    assert told[-1].level == logging.WARNING


def test_operator_mode_says_who_decides() -> None:
    (told,) = (
        each
        for each in said(Network(operator=Operator(name="ACME", directory=Path("/o"), token="t")))
        if "ACME" in each.text
    )
    assert told.text.startswith("Serving the accounts of operator ACME (0 accounts); nats-server decides")


def test_a_peer_port_that_is_set_is_no_default() -> None:
    cluster = Cluster(peers=(PEER,), routes=(PEER,), port=5222)
    key = "plugin.choria.network.peer_port"
    settings = Settings(
        source=Path("/b.conf"),
        identity="b1",
        tls=SECURE,
        network=Network(cluster=cluster),
        origins={key: Origin("/b.conf", 3)},
    )
    assert [each.text for each in announcements(settings)] == ["Adding nats://b2:5222 as network peer"]


def test_the_greeting_says_what_starts_where() -> None:
    settings = Settings(source=Path("/b.conf"), identity="b1", tls=SECURE, network=Network(listen_address="::1"))
    assert greeting(settings, "2.15.2") == (
        "Starting new Network Broker with NATS version 2.15.2 on [::1]:4222 using config file /b.conf"
    )
