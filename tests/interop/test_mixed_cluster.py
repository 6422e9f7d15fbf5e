"""A broker of go-choria and this one in one cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.fleet import Fleet
from support.old_broker import answers_cross, old_broker
from support.testbed import Authority
from support.topology import broker, formed, logged, nodes, page, peers

DEADLINE = 90.0


@pytest.mark.timeout(240)  # Real programs look for each other, and there are a dozen runs of them.
async def test_a_fleet_is_reached_both_ways_across_a_mixed_cluster(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    old, new = members = nodes(2, host="127.0.0.1")
    async with (
        asyncio.timeout(DEADLINE),
        old_broker(choria, tmp_path, authority, old, **peers(*members)),
        broker(tmp_path, authority, new, network__peer_tls=False, **peers(*members)),
    ):
        await formed(old, new)
        await answers_cross(Fleet(choria, tmp_path, authority), old, new)


async def test_with_tls_there_is_no_route_to_the_old_broker_and_the_log_names_the_setting(
    tmp_path: Path, authority: Authority, choria: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = members = nodes(2)
    async with (
        asyncio.timeout(DEADLINE),
        old_broker(choria, tmp_path, authority, old, **peers(*members)),
        broker(tmp_path, authority, new, **peers(*members)),
    ):
        line = await logged(caplog, "TLS route handshake error", "first record does not look like a TLS handshake")
        assert "plugin.choria.network.peer_tls" in line
        assert (await page(new, "/routez"))["num_routes"] == 0
