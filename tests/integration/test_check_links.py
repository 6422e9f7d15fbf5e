"""``choria-broker check`` names the peer, record or remote a finding is about, and judges the rest all the same."""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import check, main
from choria_broker.config.load import load
from choria_broker.config.surroundings.discovery import Discovery, lookup_srv
from choria_broker.errors import ConfigurationError
from support.nameserver import name_server
from support.testbed import Authority
from support.topology import Node, Setting, broker, configure, gateways, peers

DOMAIN = "choria.test"
RECORD = f"_mcollective-broker._tcp.{DOMAIN}"
NETWORK = "plugin.choria.network."
# Not the usual ports: those are for what the documentation shows. Nor is there a test that takes these.
ONE, TWO = (
    Node(f"b1.{city}.example", client=4922, peer=5922, gateway=7901, leafnode=7942, statistics=8922)
    for city in ("tokyo", "london")
)


def checked(config: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", *options, "--config", str(config)])


def told(result: Result, severity: str, place: str, text: str) -> None:
    """Assert that just one finding has a text in it, with its severity and at its place."""
    lines = [line for line in result.output.splitlines() if text in line and "Remedy: " in line]
    assert len(lines) == 1, result.output
    assert re.match(rf"{severity}: {place}", lines[0]), lines[0]


def at(config: Path, text: str) -> str:
    """Return how a finding about a line of a configuration begins."""
    return rf"{re.escape(str(config))}:\d+: {re.escape(text)}"


SIX = ", ".join(f"192.0.2.{number}:5922" for number in range(1, 7))


@pytest.mark.parametrize(
    ("value", "severity", "subject", "problem"),
    [
        ("localhost:5922, broker2", "skip", "peers = broker2: ", "no usable port"),
        ("broker2, http://broker3:5922", "skip", "peers = http://broker3:5922: ", "an unknown scheme"),
        ("localhost:5922, nowhere.invalid:5922", "info", "peers = ", "peer nowhere.invalid:5922 cannot be resolved"),
        ("192.0.2.1:5922, 192.0.2.1:5922", "warn", "peers = 192.0.2.1:5922: ", "192.0.2.1:5922 is in the list twice"),
        (SIX, "warn", "peers = ", "6 peers; at most 5 are supported"),
    ],
)
def test_a_finding_about_a_peer_names_it(
    tmp_path: Path, authority: Authority, value: str, severity: str, subject: str, problem: str
) -> None:
    config = configure(tmp_path, authority, ONE, network__peers=value)
    result = checked(config)
    told(result, severity, at(config, NETWORK + subject), problem)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("options", [(), ("--lenient-config",)])
@pytest.mark.parametrize("store", [False, True])
def test_a_malformed_peer_does_not_make_a_lone_broker(
    tmp_path: Path, authority: Authority, options: tuple[str, ...], *, store: bool
) -> None:
    streams: dict[str, Setting] = {"network__stream__store": tmp_path / "store"} if store else {}
    config = configure(tmp_path, authority, ONE, network__peers="localhost:5922, broker2", **streams)
    result = checked(config, *options)
    told(result, "skip", at(config, f"{NETWORK}peers = broker2"), "stays a member of its cluster")
    assert result.exit_code == 0, result.output
    assert "port: 5922" in result.output
    assert "verify_cert_and_check_known_urls: true" in result.output


@pytest.mark.parametrize(
    ("records", "severity", "subject", "text"),
    [
        ({}, "info", "srv_domain = choria.test: ", f"SRV lookup for {RECORD} failed: no such record"),
        (None, "warn", "srv_domain = choria.test: ", f"SRV lookup for {RECORD} failed: the name servers did not"),
        (
            {f"{RECORD} SRV": ["10 0 5922 192.0.2.1.", "10 0 5922 localhost."]},
            "warn",
            "network.peers = 192.0.2.9:5922: ",
            f"the SRV record {RECORD} names other peers; the peers are 192.0.2.1:5922, localhost:5922",
        ),
        (
            {f"{RECORD} SRV": ["10 0 5922 nowhere.invalid."]},
            "info",
            f"SRV record {RECORD}: plugin.choria.srv_domain: ",
            "peer nowhere.invalid:5922 cannot be resolved",
        ),
    ],
)
def test_a_finding_about_dns_names_record_and_peers(
    tmp_path: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    records: Mapping[str, Sequence[str]] | None,
    severity: str,
    subject: str,
    text: str,
) -> None:
    by_srv: dict[str, Setting] = {"plugin__choria__use_srv": True, "plugin__choria__srv_domain": DOMAIN}
    config = configure(tmp_path, authority, ONE, network__peers="192.0.2.9:5922", **by_srv)
    with name_server(records or {}, silent=records is None) as server:
        ways = Discovery(srv=functools.partial(lookup_srv, resolver=server.resolver()), limit=1.0)
        monkeypatch.setattr(check, "load", functools.partial(load, discovery=ways))
        result = checked(config)
    place = subject if subject.startswith("SRV record") else at(config, f"plugin.choria.{subject}")
    told(result, severity, place, text)
    assert result.exit_code == 0, result.output


PARIS = "network__gateway_remote__Paris__"


@pytest.mark.parametrize(
    ("paris", "severity", "subject", "text"),
    [
        ({}, "skip", "urls: ", "not set; gateway remote Paris is not used"),
        (
            {"urls": "paris"},
            "skip",
            "urls = paris: ",
            "in the address; gateway remote Paris is not used",
        ),
        ({"urls": "paris:0, http://p:1"}, "skip", "urls = http://p:1: ", "an unknown scheme in the address"),
        ({"urls": "u:hunter2@paris:7901"}, "warn", "urls = *****@paris:7901: ", "the login is ignored"),
        ({"urls": "paris:7901/x"}, "warn", "urls = paris:7901...: ", "the path is ignored"),
        ({"urls": "paris:7901", "tls__ca": "/no/ca.pem"}, "skip", "tls.ca = /no/ca.pem: ", "no such file or directory"),
        ({"urls": "paris:7901", "tls__key": "/no/key.pem"}, "skip", "tls.key = ", "tls.cert is not set"),
        ({"urls": "paris:7901", "tls__verify": "no"}, "warn", "tls.verify = no: ", "is not verified"),
        ({"urls": "paris:7901", "tls__disable": "yes"}, "warn", "tls.disable = yes: ", "TLS is off for this remote"),
        ({"urls": "paris:7901", "tls__disable": "False"}, "warn", "tls.disable = False: ", "go-choria"),
        ({"urls": "paris:7901", "tls__disable": "perhaps"}, "refuse", "tls.disable = perhaps: ", "not yes or no"),
    ],
)
def test_a_finding_about_a_gateway_remote_names_it_and_the_other_stays(
    tmp_path: Path, authority: Authority, paris: dict[str, str], severity: str, subject: str, text: str
) -> None:
    settings = gateways(ONE, "Tokyo", London=[TWO]) | {PARIS + key: value for key, value in paris.items()}
    settings["network__gateway_remotes"] = "Paris, London"
    config = configure(tmp_path, authority, ONE, **settings)
    result = checked(config)
    # The list stands for a key that is missing; the line is then that of the list.
    told(result, severity, at(config, f"{NETWORK}gateway_remote.Paris.{subject}"), text)
    assert result.exit_code == int(severity == "refuse")
    if severity != "refuse":
        assert 'name: "London"' in result.output
        assert ('name: "Paris"' in result.output) is (severity == "warn")


GATEWAYS = gateways(ONE, "Tokyo", London=[TWO])
LIST, PORT, URLS = (
    "network__gateway_remotes",
    "network__gateway_port",
    "network__gateway_remote__London__urls",
)


@pytest.mark.parametrize(
    ("settings", "severity", "subject", "text"),
    [
        (GATEWAYS | {f"{PARIS}urls": "paris:7901"}, "warn", "gateway_remote.Paris.urls = ", "Paris is not in"),
        ({PORT: ONE.gateway}, "warn", "gateway_port = ", f"{NETWORK}gateway_remotes is not set"),
        ({LIST: "London", URLS: "london:7901"}, "warn", "gateway_remotes = ", f"{NETWORK}gateway_port is not set"),
        (GATEWAYS | {LIST: "London, London"}, "warn", "gateway_remotes = London, London: ", "twice"),
        (
            GATEWAYS | {"network__stream__store": "/"},
            "refuse",
            "stream.store = /",
            f"Remedy: list this broker and one more in {NETWORK}peers, or remove {NETWORK}stream.store",
        ),
        (GATEWAYS | {"network__gateway_name": "New York"}, "refuse", "gateway_name = New York", "spaces"),
        (GATEWAYS | {PORT: ONE.client}, "refuse", "gateway_port = ", "are both port 4922"),
        (peers(ONE) | {"network__peer_port": ONE.client}, "refuse", "peer_port = ", "are both port 4922"),
        (peers(ONE) | {"network__peer_user": "u"}, "refuse", "peer_user = *****", f"{NETWORK}peer_password is not set"),
        (peers(ONE) | {"network__peer_password": "s3cret"}, "refuse", "peer_password = *****", "peer_user is not set"),
        (GATEWAYS | {"network__gateway_tls": False}, "warn", "gateway_tls = false", "not encrypted"),
        (peers(ONE, TWO) | {"network__peer_tls": False}, "warn", "peer_tls = false", "not encrypted"),
    ],
)
def test_a_finding_about_links_as_a_whole_names_its_setting(
    tmp_path: Path, authority: Authority, settings: dict[str, Setting], severity: str, subject: str, text: str
) -> None:
    config = configure(tmp_path, authority, ONE, **settings)
    result = checked(config)
    told(result, severity, at(config, NETWORK + subject), text)
    assert result.exit_code == int(severity == "refuse")


@pytest.mark.parametrize("key", ["peer_port", "gateway_port"])
async def test_a_port_of_a_link_that_is_in_use_is_named_at_the_start(
    tmp_path: Path, authority: Authority, key: str
) -> None:
    one, two = Node("b1.tokyo.example"), Node("b1.london.example")
    made = broker(tmp_path, authority, one, **peers(one), **gateways(one, "Tokyo", London=[two]))
    port = one.peer if key == "peer_port" else one.gateway
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConfigurationError) as caught:
        await made.run()
    (finding,) = caught.value.findings
    assert (finding.code, finding.key, finding.value) == ("port-unavailable", NETWORK + key, str(port))
    assert str(os.getpid()) in finding.problem
