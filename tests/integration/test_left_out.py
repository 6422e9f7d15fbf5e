"""Adapters and a federation broker that cannot run: the rest runs, and the operator is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.errors import ConfigurationError
from support.testbed import Authority, client, configuration

FEATURES: dict[str, str | bool] = {
    "plugin__choria__broker_federation": True,
    "plugin__choria__federation_middleware_hosts": "hub.example.net",
    "plugin__choria__adapters": "discovery",
    "plugin__choria__adapter__discovery__type": "kafka",
    "plugin__choria__adapter__discovery__ingest__topic": "mcollective.broadcast.agent.discovery",
}


async def test_the_network_broker_runs_without_them_and_counts_them(tmp_path: Path, authority: Authority) -> None:
    context = authority.context(authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **FEATURES)) as broker:
        async with client(broker, context) as bob:
            await bob.flush()
        labels = {"identity": "broker.example.net"}
        assert broker.registry.get_sample_value("choria_broker_config_errors", labels) == 2
        assert broker.statistics.companions == ()


def test_alone_they_are_refused(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, **FEATURES, plugin__choria__broker_network=False)
    with pytest.raises(ConfigurationError, match="no such type of adapter"):
        NetworkBroker.from_file(path)
