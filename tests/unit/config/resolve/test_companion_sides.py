"""Which networks companions connect to: TLS and the command line."""

from __future__ import annotations

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings.companions import SideTls
from choria_broker.settings.finding_codes import Severity
from support.scenario import BASE, scenario

ADAPTER = """
plugin.choria.broker_network = no
plugin.choria.adapters = x
plugin.choria.adapter.x.type = choria_streams
plugin.choria.adapter.x.ingest.topic = t
"""


def tls(overrides: Overrides) -> SideTls | None:
    (adapter,) = scenario(BASE + ADAPTER, overrides=overrides).ok.adapters
    assert adapter.ingest.tls == adapter.output.tls
    return adapter.ingest.tls


def test_the_hidden_options_reach_outgoing_connections() -> None:
    usual = tls(Overrides())
    assert usual
    assert usual.verify
    lax = tls(Overrides(disable_ssl_verification=True))
    assert lax
    assert not lax.verify
    assert tls(Overrides(disable_tls=True)) is None


def test_nobody_connects_to_a_process_of_companions_only() -> None:
    lines = BASE.replace("identity = broker1.example.net", "identity = london+federation")
    lines = lines.replace("plugin.choria.broker_network = true\n", "") + ADAPTER
    result = scenario(lines)
    assert result.ok.identity == "london+federation"
    assert result.ok.adapters
    assert result.codes(Severity.WARN) == []
    there = scenario(lines.replace("broker_network = no", "broker_network = yes"))
    assert set(there.codes(Severity.WARN)) == {"identity-no-host", "tls-name-mismatch"}


def test_settings_of_the_network_broker_have_no_effect_without_one() -> None:
    lines = BASE.replace("plugin.choria.broker_network = true\n", "") + ADAPTER
    lines += "plugin.choria.network.client_port = 4223\nplugin.choria.network.soft_shutdown_timeout = 5\n"
    result = scenario(lines)
    found = result.one("no-effect")
    assert (found.severity, found.key) == (Severity.INFO, "plugin.choria.network.client_port")
    assert found.problem == "plugin.choria.broker_network is not true"
    assert result.ok.network.soft_shutdown_timeout == 5
