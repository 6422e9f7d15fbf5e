"""The broker's own certificate, held against links to other brokers and the names under which others connect to it."""

from __future__ import annotations

import datetime as dt
import ipaddress

import pytest
from cryptography import x509

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from support.certificate_cases import BAD, CASES, ODD
from support.certificates import CLIENT, HOST, NOW, SERVER, Made, authority, broker
from support.scenario import IDENTITY, NET, Result, scenario

ROOT = authority()
TEXT = f"""
identity = {HOST}
plugin.choria.broker_network = true
plugin.security.provider = file
plugin.security.file.certificate = /tls/cert.pem
plugin.security.file.key = /tls/key.pem
plugin.security.file.ca = /tls/ca.pem
"""
PEERS = f"peers = {HOST}:5222, other.example.net:5222"
GATEWAY = ["gateway_port = 7222", "gateway_remotes = far", "gateway_remote.far.urls = far.example.net:7222"]
LEAFNODE = ["leafnode_remotes = hq", "leafnode_remote.hq.url = hq.example.net:7422", "gateway_name = site"]
OWN_LEAFNODE = [*LEAFNODE, "leafnode_remote.hq.tls.cert = /own/cert.pem", "leafnode_remote.hq.tls.key = /own/key.pem"]


def files(certificate: bytes, key: bytes, ca: bytes) -> dict[str, FileFact]:
    return {"/tls/cert.pem": FileFact(certificate), "/tls/key.pem": FileFact(key), "/tls/ca.pem": FileFact(ca)}


def judged(
    leaf: Made, *lines: str, overrides: Overrides | None = None, now: dt.datetime = NOW, **more: object
) -> Result:
    text = TEXT + "\n".join(NET + line for line in lines)
    facts = {"now": now, "addresses": {HOST: ("192.0.2.1",)}, **more}
    found = files(leaf.pem, leaf.key_pem, ROOT.pem)
    found |= {"/own/cert.pem": FileFact(leaf.pem), "/own/key.pem": FileFact(leaf.key_pem)}
    return scenario(text, facts=facts, files=found, overrides=overrides)


def tls_codes(result: Result, severity: Severity | None = None) -> list[str]:
    return [code for code in result.codes(severity) if code.startswith("tls-")]


@pytest.mark.parametrize("name", BAD)
def test_what_nobody_takes_keeps_the_broker_from_starting(name: str) -> None:
    case = CASES[name]
    found = scenario(TEXT, facts={"now": NOW}, files=files(case.certificate, case.key, case.ca))
    if case.server:
        assert found.settings is None
        assert case.server in tls_codes(found, Severity.REFUSE)
        assert found.one(case.server).key.startswith("plugin.security.file.") or name == "the key instead"
    else:
        assert found.settings is not None


@pytest.mark.parametrize("name", [name for name in ODD if CASES[name].host == HOST])
def test_what_some_take_is_a_warning(name: str) -> None:
    case = CASES[name]
    found = scenario(TEXT, facts={"now": NOW}, files=files(case.certificate, case.key, case.ca))
    assert found.settings is not None
    severity = Severity.INFO if name == "an expired CA beside one" else Severity.WARN
    assert set(tls_codes(found, severity)) == set(case.said) == set(tls_codes(found))
    assert tls_codes(found, Severity.REFUSE) == []


def test_without_tls_all_of_it_is_a_warning() -> None:
    case = BAD["for clients"]
    found = scenario(
        TEXT,
        facts={"now": NOW},
        files=files(case.certificate, case.key, case.ca),
        overrides=Overrides(disable_tls=True),
    )
    assert found.settings is not None
    assert tls_codes(found, Severity.WARN) == ["tls-not-for-servers", "tls-disabled"]


@pytest.mark.parametrize(
    ("lines", "who", "key"),
    [
        ([PEERS], "members of the cluster refuse this broker when it connects to them", "peers"),
        (GATEWAY, "brokers behind gateways", "gateway_remotes"),
        (LEAFNODE, "brokers that it joins as a leafnode", "leafnode_remotes"),
        ([PEERS, *GATEWAY], "members of the cluster, brokers behind gateways", "peers"),
    ],
)
def test_a_certificate_for_servers_gets_in_nowhere(lines: list[str], who: str, key: str) -> None:
    found = judged(broker(ROOT, usages=(SERVER,)), *lines)
    finding = found.one("tls-not-for-clients")
    assert finding.severity is Severity.WARN
    assert who in finding.effect
    assert "clientAuth" in finding.problem
    assert "clientAuth" in finding.remedy
    assert finding.key == NET + key
    assert found.settings is not None


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["leafnode_port = 7422"],
        [PEERS, "peer_tls = false"],
        [*GATEWAY, "gateway_tls = false"],
        [*LEAFNODE, "leafnode_remote.hq.tls.disable = yes"],
        [f"peers = {HOST}:5222"],
    ],
)
def test_without_links_a_certificate_for_servers_is_enough(lines: list[str]) -> None:
    assert tls_codes(judged(broker(ROOT, usages=(SERVER,)), *lines)) == []


def test_the_own_certificate_of_a_remote_has_to_be_for_clients() -> None:
    found = judged(broker(ROOT, usages=(SERVER,)), *OWN_LEAFNODE)
    finding = found.one("tls-not-for-clients")
    assert (finding.severity, finding.key) == (Severity.WARN, NET + "leafnode_remote.hq.tls.cert")
    assert judged(broker(ROOT, usages=(SERVER, CLIENT)), *OWN_LEAFNODE).codes() == []


@pytest.mark.parametrize("name", ["a byte order mark", "indented", "DER", "another key", "an encrypted key", "RSA 768"])
def test_own_files_of_a_remote_that_cannot_be_used(name: str) -> None:
    case, good = BAD[name], broker(ROOT)
    given = files(good.pem, good.key_pem, ROOT.pem)
    given |= {"/own/cert.pem": FileFact(case.certificate), "/own/key.pem": FileFact(case.key)}
    text = TEXT + "\n".join(NET + line for line in OWN_LEAFNODE)
    found = scenario(text, facts={"now": NOW}, files=given)
    assert case.server in tls_codes(found, Severity.SKIP)
    assert found.ok.network.leafnodes.remotes == ()


@pytest.mark.parametrize(
    ("name", "code"), [("a CA that is none beside one", "tls-bad-ca"), ("an indented CA beside one", "tls-bad-pem")]
)
def test_the_ca_of_a_remote(name: str, code: str) -> None:
    good = broker(ROOT)
    given = files(good.pem, good.key_pem, ROOT.pem) | {"/own/ca.pem": FileFact(ODD[name].ca)}
    text = TEXT + "\n".join(NET + line for line in [*LEAFNODE, "leafnode_remote.hq.tls.ca = /own/ca.pem"])
    finding = scenario(text, facts={"now": NOW}, files=given).one(code)
    assert (finding.severity, finding.key) == (Severity.WARN, NET + "leafnode_remote.hq.tls.ca")


LOCAL = frozenset({"192.0.2.1"})


@pytest.mark.parametrize(
    ("peers", "addresses", "named"),
    [
        (f"{HOST}:5222, b.example.net:5222", {}, ""),
        ("b1.example.net:5222, b.example.net:5222", {"b1.example.net": ("192.0.2.1",)}, "b1.example.net"),
        ("192.0.2.1:5222, 192.0.2.2:5222", {"192.0.2.1": ("192.0.2.1",)}, "192.0.2.1"),
        ("cluster1.example.com:5222, x:5222", {"cluster1.example.com": ("192.0.2.1",)}, "cluster1.example.com"),
    ],
)
def test_peers_have_this_broker_by_a_name_of_its_certificate(
    peers: str, addresses: dict[str, tuple[str, ...]], named: str
) -> None:
    known = {HOST: ("192.0.2.1",)} | addresses
    found = judged(broker(ROOT), f"peers = {peers}", addresses=known, local_addresses=LOCAL)
    names = [finding for finding in found.findings if finding.code == "tls-name-mismatch"]
    assert [finding.remedy for finding in names] == (
        [f"request a certificate with the alternative name {named}"] if named else []
    )
    assert all((finding.key, finding.severity) == (NET + "peers", Severity.WARN) for finding in names)


@pytest.mark.parametrize(
    "names",
    [
        (x509.DNSName(HOST), x509.DNSName("*.example.net")),
        (x509.DNSName(HOST), x509.DNSName("b1.example.net")),
    ],
)
def test_wildcards_and_further_names_do(names: tuple[x509.GeneralName, ...]) -> None:
    known = {"b1.example.net": ("192.0.2.1",)}
    lines = "peers = b1.example.net:5222, b.example.net:5222"
    assert tls_codes(judged(broker(ROOT, names=names), lines, addresses=known, local_addresses=LOCAL)) == []


def test_addresses_in_the_certificate_do() -> None:
    leaf = broker(ROOT, names=(x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))))
    known = {"192.0.2.1": ("192.0.2.1",)}
    lines = "peers = 192.0.2.1:5222, 192.0.2.2:5222"
    assert tls_codes(judged(leaf, lines, addresses=known, local_addresses=LOCAL)) == []


def test_a_gateway_that_lists_this_broker_by_another_name() -> None:
    lines = [*GATEWAY, "gateway_remote.CHORIA.urls = gw.example.com:7222", "gateway_remotes = far, CHORIA"]
    known = {"gw.example.com": ("192.0.2.1",)}
    found = judged(broker(ROOT), *lines, addresses=known, local_addresses=LOCAL)
    finding = found.one("tls-name-mismatch")
    assert (finding.key, finding.severity) == (NET + "gateway_remote.CHORIA.urls", Severity.WARN)


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("public_url = edge.example.com:4222", True),
        ("public_url = edge.example.com", True),
        (f"public_url = {HOST}:4222", False),
        ("public_url = [2001:db8::1]:4222", True),
        ("websocket_advertise = edge.example.com:443", True),
    ],
)
def test_names_that_clients_are_told(line: str, *, warned: bool) -> None:
    found = judged(broker(ROOT), line, "websocket_port = 8443")
    assert tls_codes(found) == (["tls-name-mismatch"] if warned else [])


def test_names_only_in_the_common_name() -> None:
    found = judged(broker(ROOT, names=()))
    finding = found.one("tls-common-name-only")
    assert finding.severity is Severity.WARN
    assert HOST in finding.problem
    assert IDENTITY not in finding.problem
