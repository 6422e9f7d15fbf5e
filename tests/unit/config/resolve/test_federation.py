"""The federation broker: over which brokers, and what keeps it out."""

from __future__ import annotations

import pytest

from choria_broker.settings.finding_codes import Severity
from support.scenario import base

ON, ALONE = "plugin.choria.broker_federation = yes", "plugin.choria.broker_network = no"
HOSTS = "plugin.choria.federation_middleware_hosts = f:4222"


def test_beside_the_network_broker() -> None:
    found = base(ON, HOSTS, "plugin.choria.federation.cluster = london")
    assert found.codes() == []
    federation = found.ok.federation
    assert federation
    assert federation.cluster == "london"
    assert federation.federation.servers == ("f:4222",)
    assert federation.collective.bridge


def test_hosts_of_the_collective_side_count_beside_the_network_broker() -> None:
    federation = base(ON, HOSTS, "plugin.choria.middleware_hosts = m:4222").ok.federation
    assert federation
    assert (federation.collective.bridge, federation.collective.servers) == (False, ("m:4222",))


def test_alone() -> None:
    federation = base(ON, ALONE).ok.federation
    assert federation
    assert federation.cluster == "mcollective"
    assert federation.federation.srv == (
        "_mcollective-federation_server._tcp.example.net",
        "_x-puppet-mcollective_federation._tcp.example.net",
    )
    assert federation.federation.last_resort == ()
    assert federation.collective.last_resort == ("puppet:4222",)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["plugin.choria.middleware_hosts = [::1"], "bad-address"),
        (["plugin.choria.federation_middleware_hosts = a"], "bad-address"),
        (["plugin.choria.federation_middleware_hosts = kafka://a:1"], "bad-address"),
        (["plugin.choria.federation_middleware_hosts = a:70000"], "bad-address"),
        (["plugin.choria.use_srv = no"], "no-federation-hosts"),
        (["identity = broker"], "no-federation-hosts"),
        (["plugin.choria.federation.cluster = a b"], "federation-cluster"),
        (["plugin.choria.federation.cluster = a.*"], "federation-cluster"),
        (["plugin.choria.federation.cluster = >"], "federation-cluster"),
        (["plugin.choria.federation.cluster = " + "a" * 1001], "federation-cluster"),
    ],
)
def test_a_fault_leaves_it_out_or_alone_refuses_the_start(lines: list[str], code: str) -> None:
    found = base(ON, *lines)
    assert found.one(code).severity is Severity.SKIP
    assert found.one(code).remedy
    assert found.ok.federation is None
    alone = base(ON, *lines, ALONE)
    assert alone.settings is None
    assert alone.one(code).severity is Severity.REFUSE


def test_a_word_that_is_no_boolean_leaves_it_off() -> None:
    assert base("plugin.choria.broker_federation = enabled").one("bad-boolean").severity is Severity.WARN


def test_settings_of_clients_send_no_side_elsewhere() -> None:
    """In go-choria they would connect both sides to the federation."""
    plain = base(ON, HOSTS, ALONE, "plugin.choria.middleware_hosts = m:4222")
    redirected = base(
        ON, HOSTS, ALONE, "plugin.choria.middleware_hosts = m:4222", "plugin.choria.federation.collectives = london"
    )
    assert redirected.one("client-setting").severity is Severity.WARN
    assert redirected.ok.federation == plain.ok.federation
