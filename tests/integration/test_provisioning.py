"""Nodes that wait for provisioning on one member of a cluster, and the provisioner on another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from choria_broker.status.health import Condition
from support.minting import ORGANIZATION, client, hex_of, mint, proof, provisioning
from support.nats_socket import wire
from support.testbed import Authority
from support.topology import broker as make
from support.topology import formed, nodes, peers
from support.topology import running as together

DEADLINE = 40.0
SETTINGS: dict[str, Any] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
    "network__provisioning__client_password": "s3cret",
    "network__system__user": "root",
    "network__system__password": "secret",
}


def token(claims: dict[str, Any]) -> str:
    now = int(time.time())
    return mint({**claims, "ou": "choria", "iat": now - 60, "nbf": now - 60, "exp": now + 3600})


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not happened():
            await asyncio.sleep(0.02)


async def test_one_provisioner_is_enough_for_a_cluster(tmp_path: Path, authority: Authority) -> None:
    members = nodes(2)
    one, two = (make(tmp_path, authority, each, **peers(*members), **SETTINGS) for each in members)
    ahead = [0.0]
    one.census._interval = one.census._rest = 0.1
    one.census._clock = lambda: time.time() + ahead[0]
    one._parts.neighbours._patience = 1.0
    one._parts.neighbours._pause = two._parts.neighbours._pause = 0.1
    context = authority.context()
    async with together((one, two)), wire(members[0].client, context) as node:
        await formed(*members)
        await until(lambda: two._parts.neighbours._client is not None and one._parts.neighbours._client is not None)
        await node.connect(auth_token=token(provisioning()))
        async with wire(members[1].client, context) as provisioner:
            await provisioner.connect(
                auth_token=token(client(permissions={"provisioner": True})),
                sig=proof(nonce=provisioner.nonce),
                **{"user": "provisioner", "pass": "s3cret"},
            )
            ahead[0] = 90.0
            await until(lambda: one.census.waiting.elsewhere)
            assert one.census.waiting.provisioners == 0
        async with asyncio.timeout(DEADLINE):
            while any(each.account == "provisioning" for each in await two.sessions()):
                await asyncio.sleep(0.02)
        ahead[0] = 500.0
        await until(lambda: one.census.waiting.stalled)
        assert not one.census.waiting.silent
        health = one._reporter.health()
        assert health.condition is Condition.DEGRADED
        assert any("no provisioner is connected" in reason for reason in health.reasons)
