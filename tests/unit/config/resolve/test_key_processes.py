"""Which keys are held by key processes, and what is said of long ones."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from support.certificates import HOST, NOW, Key, Made, authority, broker
from support.certificates import key as curve_key
from support.scenario import NET, Result, scenario

ROOT = authority()
TEXT = f"""
identity = {HOST}
plugin.choria.broker_network = true
"""
PROVIDERS = {
    "file": """
plugin.security.provider = file
plugin.security.file.certificate = /tls/cert.pem
plugin.security.file.key = /tls/key.pem
plugin.security.file.ca = /tls/ca.pem
""",
    "puppet": "plugin.choria.ssldir = /tls\n",
}
REMOTES = """
plugin.choria.network.gateway_port = 7222
plugin.choria.network.gateway_remotes = far
plugin.choria.network.gateway_remote.far.urls = far.example.net:7222
plugin.choria.network.gateway_remote.far.tls.cert = /far/cert.pem
plugin.choria.network.gateway_remote.far.tls.key = /far/key.pem
plugin.choria.network.leafnode_remotes = hq
plugin.choria.network.leafnode_remote.hq.url = hq.example.net:7422
plugin.choria.network.leafnode_remote.hq.tls.cert = /hq/cert.pem
plugin.choria.network.leafnode_remote.hq.tls.key = /hq/key.pem
plugin.choria.network.gateway_name = HERE
"""


@functools.cache
def leaf(bits: int) -> Made:
    private: Key = rsa.generate_private_key(public_exponent=65537, key_size=bits) if bits else curve_key()
    return broker(ROOT, private=private)


def found(bits: int, *lines: str, provider: str = "file", more: str = "", overrides: Overrides | None = None) -> Result:
    own, far, hq = leaf(bits), leaf(2048), leaf(0)
    files = {
        "/tls/ca.pem": FileFact(ROOT.pem),
        "/tls/certs/ca.pem": FileFact(ROOT.pem),
        "/far/cert.pem": FileFact(far.pem),
        "/far/key.pem": FileFact(far.key_pem),
        "/hq/cert.pem": FileFact(hq.pem),
        "/hq/key.pem": FileFact(hq.key_pem),
    }
    for name in ("/tls/cert.pem", f"/tls/certs/{HOST}.pem"):
        files[name] = FileFact(own.pem)
    for name in ("/tls/key.pem", f"/tls/private_keys/{HOST}.pem"):
        files[name] = FileFact(own.key_pem)
    text = TEXT + PROVIDERS[provider] + more + "\n".join(NET + line for line in lines)
    addresses = dict.fromkeys((HOST, "far.example.net", "hq.example.net"), ("192.0.2.1",))
    return scenario(text, facts={"now": NOW, "addresses": addresses}, files=files, overrides=overrides)


def outside(result: Result) -> set[str]:
    assert result.settings, result.findings
    return set(map(str, result.settings.tls.outside))


@pytest.mark.parametrize(
    ("bits", "lines", "keys"),
    [
        (2048, (), {"/tls/key.pem"}),
        (0, (), set()),
        (2048, ("tls_key_processes = auto",), {"/tls/key.pem"}),
        (2048, ("tls_key_processes = never",), set()),
        (0, ("tls_key_processes = always",), {"/tls/key.pem"}),
    ],
)
def test_rsa_keys_are_outside_unless_the_operator_says_otherwise(
    bits: int, lines: tuple[str, ...], keys: set[str]
) -> None:
    assert outside(found(bits, *lines)) == keys


def test_keys_of_remotes_are_outside_by_the_same_rule() -> None:
    assert outside(found(0, more=REMOTES)) == {"/far/key.pem"}
    assert outside(found(0, "tls_key_processes = always", more=REMOTES)) == {
        "/tls/key.pem",
        "/far/key.pem",
        "/hq/key.pem",
    }
    disabled = ("gateway_remote.far.tls.disable = yes", "tls_key_processes = always")
    assert outside(found(0, *disabled, more=REMOTES)) == {"/tls/key.pem", "/hq/key.pem"}


def test_without_tls_no_key_is_needed() -> None:
    assert outside(found(2048, overrides=Overrides(disable_tls=True))) == set()
    assert "tls-long-key" not in found(4096, overrides=Overrides(disable_tls=True)).codes()


@pytest.mark.parametrize(("bits", "said"), [(0, False), (2048, False), (3072, True), (4096, True)])
def test_a_long_rsa_key_is_told_with_its_cost(bits: int, said: bool) -> None:
    result = found(bits)
    assert ("tls-long-key" in result.codes(Severity.INFO)) is said
    if said:
        finding = result.one("tls-long-key")
        assert str(bits) in finding.problem
        assert f"about {3 if bits == 3072 else 8} times" in finding.effect
        assert finding.key == "plugin.security.file.key"
        assert "ECDSA key on P-256" in finding.remedy


def test_with_puppet_the_remedy_is_puppets_setting() -> None:
    result = found(4096, provider="puppet")
    assert "key_type = ec" in result.one("tls-long-key").remedy
    assert outside(result) == {str(Path(f"/tls/private_keys/{HOST}.pem"))}
