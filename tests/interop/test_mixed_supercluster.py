"""A cluster of go-choria and one of this broker, joined by gateways."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.fleet import Fleet
from support.old_broker import answers_cross, old_broker
from support.testbed import Authority
from support.topology import Node, Setting, broker, gateways, joined

DEADLINE = 90.0


@pytest.mark.timeout(240)  # Real programs look for each other, and there are a dozen runs of them.
async def test_a_fleet_is_reached_both_ways_across_clear_gateways(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    old, new = Node("b1.london.example", "127.0.0.1"), Node("b1.tokyo.example", "127.0.0.1")
    async with (
        asyncio.timeout(DEADLINE),
        old_broker(choria, tmp_path, authority, old, **gateways(old, "London", Tokyo=[new])),
        broker(tmp_path, authority, new, network__gateway_tls=False, **gateways(new, "Tokyo", London=[old])),
    ):
        await joined(new, "London")
        await joined(old, "Tokyo")
        await answers_cross(Fleet(choria, tmp_path, authority), old, new)


@pytest.mark.timeout(240)
async def test_a_fleet_is_reached_both_ways_while_tls_is_off_for_the_old_cluster_alone(
    tmp_path: Path, authority: Authority, choria: Path
) -> None:
    """The old broker has no TLS on its listener, and can bring some when it is the one that calls."""
    old, new = Node("b1.london.example"), Node("b1.tokyo.example")
    caller = authority.issue("caller.london.example", "localhost")
    prefix = "network__gateway_remote__Tokyo__tls"
    own: dict[str, Setting] = {
        f"{prefix}__cert": caller.certificate,
        f"{prefix}__key": caller.key,
        f"{prefix}__ca": authority.ca,
    }
    disabled: dict[str, Setting] = {"network__gateway_remote__London__tls__disable": "yes"}
    async with (
        asyncio.timeout(DEADLINE),
        old_broker(choria, tmp_path, authority, old, **gateways(old, "London", Tokyo=[new]), **own),
        broker(tmp_path, authority, new, **gateways(new, "Tokyo", London=[old]), **disabled),
    ):
        await joined(new, "London")
        await joined(old, "Tokyo")
        await answers_cross(Fleet(choria, tmp_path, authority), old, new)
