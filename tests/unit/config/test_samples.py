"""Configuration files as people have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.settings.finding_codes import Severity
from support.scenario import scenario

SAMPLES = sorted((Path(__file__).parents[2] / "golden" / "samples").glob("*.choria.conf"))
FACTS = {"ssldir": Path("/etc/puppetlabs/puppet/ssl")}


def sample(name: str) -> str:
    return next(path for path in SAMPLES if path.name == f"{name}.choria.conf").read_text()


def test_all_samples_are_here() -> None:
    assert len(SAMPLES) == 8


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_start(path: Path) -> None:
    found = scenario(path.read_text(), facts=FACTS)
    assert found.codes(Severity.REFUSE) == []
    assert found.codes(Severity.SKIP) == []
    full = path.name == "puppet-full.choria.conf"
    assert ([each.name for each in found.ok.adapters], found.ok.federation is not None) == (
        ["discovery"] if full else [],
        full,
    )
    assert found.ok.network_enabled


@pytest.mark.parametrize("name", ["standalone", "puppet-minimal"])
def test_samples_without_any_remark(name: str) -> None:
    assert scenario(sample(name), facts=FACTS).codes() == []


@pytest.mark.parametrize("name", ["provisioning", "issuer"])
def test_samples_with_tokens_and_streams_are_told_what_streams_reach(name: str) -> None:
    assert scenario(sample(name), facts=FACTS).codes() == ["streams-around-limits"]


def test_the_full_puppet_file_only_draws_remarks_that_help() -> None:
    found = scenario(sample("puppet-full"), facts=FACTS)
    assert sorted(set(found.codes())) == [
        "common-cluster-name",
        "ignored-key",
        "peer-unresolvable",
        "remote-not-verified",
        "streams-around-limits",
    ]


def test_the_cluster_leaves_itself_out() -> None:
    cluster = scenario(sample("cluster")).ok.network.cluster
    assert [route.host for route in cluster.routes] == ["broker2.example.net", "broker3.example.net"]


def test_the_gateway_lists_itself() -> None:
    gateway = scenario(sample("gateway")).ok.network.gateway
    assert [remote.name for remote in gateway.remotes] == ["Tokyo", "NewYork", "London"]


def test_the_issuer_network_asks_for_no_certificates() -> None:
    settings = scenario(sample("issuer")).ok
    assert not settings.tls.verify_clients
    assert settings.tls.files is not None
    assert settings.tls.files.ca is None
    assert [issuer.name for issuer in settings.security.issuers] == ["choria"]
