"""Which networks companions connect to: TLS and the command line."""

from __future__ import annotations

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings.companions import SideTls
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
