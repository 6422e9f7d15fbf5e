from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from choria_broker.announcements import Announcement, announcements, go_duration
from choria_broker.config.secret import Secret
from choria_broker.config.settings import (
    Cluster,
    Endpoint,
    Gateway,
    GatewayRemote,
    Issuer,
    LeafnodeRemote,
    Leafnodes,
    Network,
    Provisioning,
    RemoteTls,
    Security,
    Settings,
    Streams,
    Tls,
    TlsFiles,
    Websocket,
)

FILES = TlsFiles(Path("/c"), Path("/k"), Path("/ca"))
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
            Network(cluster=Cluster((PEER,), (PEER,), 5222)),
            [info("Defaulting Choria Broker Peer port to 5222"), info("Adding nats://b2:5222 as network peer")],
        ),
        (Network(streams=Streams(store=Path("/s"))), [info("Configuring Choria Streams in /s")]),
        (Network(websocket=Websocket(4333)), [info("Starting Broker WebSocket support on port 4333")]),
        (
            Network(leafnodes=Leafnodes(port=7422)),
            [info("Starting Broker Leafnode support listening on :::7422")],
        ),
        (
            Network(
                leafnodes=Leafnodes(remotes=(LeafnodeRemote("OPS", (PEER,), "choria", None, RemoteTls(disabled=True)),))
            ),
            [
                info("Starting Broker Leafnode support with 1 remote connection(s)"),
                warning("Disabling TLS for leafnode remote OPS"),
                info("Added remote Leafnode OPS with remote [nats://b2:5222]"),
            ],
        ),
        (
            Network(
                gateway=Gateway("NYC", 7001, (GatewayRemote("LDN", (PEER,), RemoteTls(ca=Path("/ldn"))),), tls=False)
            ),
            [
                info("Starting Broker Gateway NYC listening on :::7001"),
                info("Adding gateway LDN"),
                info("Using custom TLS config for remote Gateway LDN"),
                info("Added remote Gateway LDN with servers nats://b2:5222"),
                warning("Gateway traffic is clear text because plugin.choria.network.gateway_tls is false"),
            ],
        ),
        (
            Network(provisioning=Provisioning(Secret("p"), Path("/signer"))),
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
    remote = LeafnodeRemote("HQ", urls, "choria", None, RemoteTls(disabled=True))
    lines = said(Network(leafnodes=Leafnodes(remotes=(remote,))))
    assert (warning("Disabling TLS for leafnode remote HQ") in lines) is clear


def test_no_password_of_a_peer_is_announced() -> None:
    assert "hunter2" not in repr(said(Network(cluster=Cluster((PEER,), (PEER,), 5222))))


def test_clear_text_routes_are_a_warning_that_names_the_key() -> None:
    (line,) = [
        line
        for line in said(Network(cluster=Cluster((PEER,), (PEER,), 5222, tls=False)))
        if line.level == logging.WARNING
    ]
    assert "plugin.choria.network.peer_tls" in line.text


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (PLAIN, "Skipping broker TLS set up"),
        (
            dataclasses.replace(SECURE, verify_clients=False),
            "Disabling client certificate verification due to configuration or CLI override",
        ),
    ],
)
def test_weakened_tls_is_a_warning(tls: Tls, expected: str) -> None:
    assert warning(expected) in said(tls=tls)


CLEAR_TEXT = warning("Clear text connections are always refused: nobody can log in to this broker without TLS")


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
    assert "signers alone" in line.text
    assert "certificates and with tokens" in line.text
    assert not any("signed servers" in line.text for line in said(network))


def test_accounts_of_organizations_are_announced() -> None:
    lines = said(security=Security(issuers=(Issuer("acme", "ab", "ACME"), Issuer("choria", "cd"))))
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
    network = Network(provisioning=Provisioning(Secret("p"), provisioner_without_token=without_token))
    lines = said(network, security=Security(issuers=(Issuer("choria", "ab"),), choria_ca=True))
    assert info("Loaded Organization Issuer choria with public key ab") in lines
    assert warning("Allowing unverified TLS connections for Organization Issuer issued connections") in lines
    assert warning(expected) in lines
    assert any("Pub-Sub and Stream operations" in line.text for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.05, "50ms"),
        (0.9996, "1s"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (90.25, "1m30.25s"),
        (3600, "1h0m0s"),
        (86400, "24h0m0s"),
        (604800, "168h0m0s"),
    ],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
