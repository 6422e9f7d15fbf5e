"""Changes of health are lines of the log, metrics, and kept for the status."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from support.testbed import Authority
from support.topology import broker, linked, logged, nodes, peers, shows


def hasty(one: NetworkBroker) -> NetworkBroker:
    """Have a broker look at itself often."""
    one.statistics.poller._interval = one._reporter.watch._interval = 0.1
    return one


async def test_the_loss_of_a_member_and_its_return_are_told_in_log_metrics_and_status(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = nodes(2)
    settings = peers(one, two)
    async with hasty(broker(tmp_path, authority, one, **settings)) as first:
        async with broker(tmp_path, authority, two, **settings):
            await linked(one, two)
            await shows(
                one, "/choria/status", lambda found: found["health"]["condition"] == "ok" and found["health_since"]
            )
            caplog.clear()
        assert await logged(caplog, "Health is degraded: the other member of the cluster is not connected")
        told = next(each for each in caplog.records if each.getMessage().startswith("Health is degraded"))
        assert (told.levelname, told.old, told.new) == ("WARNING", "ok", "degraded")  # type: ignore[attr-defined]
        found = await shows(one, "/choria/status", lambda found: found["health_changes"])
        assert found["health_changes"][0]["added"] == ["the other member of the cluster is not connected"]
        shown = (await asyncio.to_thread(first.statistics.page)).decode()
        assert 'choria_broker_health_changes_total{condition="degraded",' in shown
        async with broker(tmp_path, authority, two, **settings):
            assert await logged(caplog, "Health is ok")
            found = await shows(one, "/choria/status", lambda found: found["health_changes"][0]["new"] == "ok")
    assert found["health_changes"][0]["lasted"] > 0
