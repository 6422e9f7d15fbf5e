"""Data adapters and federation."""

from __future__ import annotations

import pytest

from choria_broker.settings.finding_codes import Severity
from support.scenario import BASE, NET, base, scenario

A = "plugin.choria.adapter.x."
ADAPTER = ["plugin.choria.adapters = x", A + "type = choria_streams", A + "ingest.topic = t"]


def test_an_adapter() -> None:
    found = base(*ADAPTER, A + "stream.servers = a:4222", A + "stream.workers = 3")
    assert found.codes() == ["not-in-this-version"]
    assert found.ok.adapters == ("x",)


def test_the_older_name_of_the_type() -> None:
    assert base(ADAPTER[0], ADAPTER[2], A + "type = jetstream").codes() == ["not-in-this-version"]


FEDERATION = "plugin.choria.broker_federation = yes"


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ([FEDERATION], ["plugin.choria.broker_federation"]),
        (ADAPTER, ["plugin.choria.adapters"]),
        ([FEDERATION, *ADAPTER], ["plugin.choria.broker_federation", "plugin.choria.adapters"]),
    ],
)
def test_what_is_not_in_this_version_is_left_out_and_alone_refused(lines: list[str], keys: list[str]) -> None:
    found = base(*lines)
    skipped = [finding for finding in found.findings if finding.severity is Severity.SKIP]
    assert [finding.key for finding in skipped] == keys
    assert all("is not available in this version" in finding.problem for finding in skipped)
    assert found.ok.network_enabled
    alone = base(*lines, "plugin.choria.broker_network = no")
    assert [finding.key for finding in alone.findings if finding.severity is Severity.REFUSE] == keys
    assert alone.settings is None


def test_each_adapter_is_named() -> None:
    lines = [line.replace("adapter.x", "adapter.y") for line in ADAPTER[1:]]
    found = base("plugin.choria.adapters = x, y", *ADAPTER[1:], *lines)
    assert [finding.value for finding in found.findings if finding.code == "not-in-this-version"] == ["x", "y"]


FAULTS = [
    ([ADAPTER[0], ADAPTER[2]], "adapter-without-type"),
    ([*ADAPTER[:2]], "adapter-without-topic"),
    ([ADAPTER[0], ADAPTER[2], A + "type = nats_stream"], "adapter-type"),
    ([ADAPTER[0], ADAPTER[2], A + "type = kafka"], "adapter-type"),
    ([ADAPTER[0], ADAPTER[2], A + "stream.type = kafka"], "adapter-type"),
    ([*ADAPTER, A + "queue_len = 0"], "bad-value"),
    ([*ADAPTER, A + "ingest.workers = many"], "bad-value"),
    ([*ADAPTER, A + "stream.workers = -1"], "bad-value"),
    ([*ADAPTER, A + "stream.servers = a"], "bad-address"),
    ([*ADAPTER, "plugin.choria.middleware_hosts = a"], "bad-address"),
    ([*ADAPTER, "plugin.choria.middleware_hosts = kafka://a:1"], "bad-address"),
    ([FEDERATION, "plugin.choria.middleware_hosts = [::1"], "bad-address"),
    ([FEDERATION, "plugin.choria.federation_middleware_hosts = a"], "bad-address"),
    ([FEDERATION, "plugin.choria.federation_middleware_hosts = a:70000"], "bad-address"),
    (["plugin.choria.broker_federation = enabled"], "bad-boolean"),
]


@pytest.mark.parametrize(("lines", "code"), FAULTS)
def test_faults_of_features_that_are_left_out_are_warnings(lines: list[str], code: str) -> None:
    found = base(*lines)
    assert found.one(code).severity is Severity.WARN
    assert found.one(code).effect == "this version does not have the feature; everything else runs"
    assert found.ok.network_enabled


@pytest.mark.parametrize(("lines", "code"), FAULTS)
def test_alone_faults_are_refused(lines: list[str], code: str) -> None:
    found = base(*lines, "plugin.choria.broker_network = no")
    assert found.settings is None
    assert found.one(code).severity is Severity.REFUSE


def test_latin1_in_settings_that_are_left_out() -> None:
    text = BASE.encode() + b"plugin.choria.federation.cluster = K\xf6ln\nplugin.nats.user = K\xf6ln\n"
    found = scenario(text)
    assert found.codes(Severity.WARN) == ["not-utf8", "not-utf8"]
    assert found.ok.network_enabled
    assert scenario(text.replace(b"broker_network = true", b"adapters = x")).settings is None


def test_other_faults_still_refuse_the_network_broker() -> None:
    found = base(FEDERATION, "plugin.choria.federation_middleware_hosts = a", NET + "peer_user = a")
    assert [finding.code for finding in found.findings if finding.severity is Severity.REFUSE] == ["half-login"]
    assert base("plugin.choria.broker_network = on it", "plugin.choria.broker_federation = enabled").settings is None


def test_the_older_place_of_the_type() -> None:
    found = base(ADAPTER[0], ADAPTER[2], A + "stream.type = jetstream")
    assert found.one("alias-key").severity is Severity.WARN
    assert found.ok.adapters == ("x",)


def test_federation() -> None:
    found = base("plugin.choria.broker_federation = yes", "plugin.choria.federation.cluster = london")
    assert found.codes() == ["not-in-this-version"]
    assert (found.ok.federation_enabled, found.ok.federation_cluster) == (True, "london")
    found = base("plugin.choria.broker_federation = yes", "plugin.choria.use_srv = no")
    assert found.one("no-federation-hosts").severity is Severity.WARN
