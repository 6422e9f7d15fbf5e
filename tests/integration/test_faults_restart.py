"""Many clients that come back by themselves, while the broker is restarted: all are served again, at bounded cost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from support.command import started
from support.herd import herd
from support.stalls import PATIENT, gone, megabytes
from support.testbed import Authority
from support.topology import Node, configure

CLIENTS = int(os.environ.get("FAULTS_CLIENTS", "100"))
"""How many; ``make soak`` has 2,000."""

BACK = 30.0 + CLIENTS / 10
"""Seconds in which all have to be back: each needs two handshakes of TLS, one of them in Python, on a busy machine."""

GIVES_UP = 2.0 + CLIENTS / 100
"""Seconds after which a client gives up an attempt: all of them share one processor with those that measure."""

MOST_MEGABYTES = 110 + CLIENTS / 50
MOST_MEGABYTES_OF_ENGINE = 60 + CLIENTS / 10
"""A tenth of a megabyte for each client."""


@pytest.mark.slow
@pytest.mark.timeout(150 + 4 * BACK)
async def test_all_clients_come_back_after_each_way_to_end(tmp_path: Path, authority: Authority) -> None:
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    config = configure(tmp_path, authority, node, logfile=log, loglevel="warn")
    context = authority.context(authority.issue("bob.mcollective"))
    async with herd(node.client, context, CLIENTS, gives_up=GIVES_UP) as clients:
        for way in (signal.SIGTERM, signal.SIGKILL, None):
            async with started("run", "--config", config, log=log) as program:
                await program.told("READY=1")
                (engine,) = psutil.Process(program.pid).children()
                await clients.all_there(CLIENTS, BACK)
                assert megabytes(program.pid) < MOST_MEGABYTES
                assert megabytes(engine.pid) < MOST_MEGABYTES_OF_ENGINE
                if way:
                    program.send(way)
                else:
                    engine.kill()
                status = await program.ended()
                assert status == {signal.SIGTERM: 0, signal.SIGKILL: -9, None: 1}[way]
                await gone(engine)
                async with asyncio.timeout(PATIENT):
                    while clients.there:
                        await asyncio.sleep(0.02)
    assert log.stat().st_size < 200_000


@pytest.mark.timeout(150 + 2 * BACK)
async def test_who_has_gone_leaves_nothing_behind(tmp_path: Path, authority: Authority) -> None:
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    config = configure(tmp_path, authority, node, logfile=log, loglevel="warn")
    context = authority.context(authority.issue("bob.mcollective"))
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        both = (psutil.Process(program.pid), *psutil.Process(program.pid).children())
        async with herd(node.client, context, 5) as clients:
            await clients.all_there(5, BACK)
        before = [each.num_fds() for each in both]
        async with herd(node.client, context, CLIENTS, gives_up=GIVES_UP) as clients:
            await clients.all_there(CLIENTS, BACK)
            assert both[1].num_fds() >= CLIENTS
        async with asyncio.timeout(PATIENT):
            while any(each.num_fds() > was + 2 for each, was in zip(both, before, strict=True)):
                await asyncio.sleep(0.05)
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
