"""A broker that stands still: newcomers are refused in time, all else goes on, and then it is as it was before."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from choria_broker.stats.poller import INTERVAL
from support.command import started
from support.flooding import login
from support.leaflinks import meet, remote, spoke
from support.stalls import PATIENT, let_in, scraped, stopped, turned_away
from support.testbed import Authority, client
from support.topology import Node, configure

STALL = 2.5
"""Seconds; longer than a question lives."""

NEWCOMERS = 40
LATEST = 5.0
"""Seconds in which a newcomer has to be refused: 1.5 for the question, and the rest for a busy machine."""


async def tells_its_status(config: Path) -> None:
    status = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "choria-broker", "status", "--config", config, stdout=subprocess.DEVNULL
    )
    assert await asyncio.wait_for(status.wait(), PATIENT) == 0


@pytest.mark.slow
async def test_while_the_broker_stands_still_only_newcomers_suffer(tmp_path: Path, authority: Authority) -> None:
    hq, site = Node("hq.example.net"), Node("site.example.net")
    log = tmp_path / "broker.log"
    config = configure(
        tmp_path,
        authority,
        hq,
        logfile=log,
        loglevel="debug",
        network__gateway_name="HQ",
        network__leafnode_port=hq.leafnode,
        network__stream__store=tmp_path / "store",
    )
    below = spoke(tmp_path, authority, site, **remote("HQ", hq.leafnode))
    context = authority.context(authority.issue("bob.mcollective"))
    async with started("run", "--debug", "--config", config, log=log) as program:
        await program.told("READY=1")
        (engine,) = psutil.Process(program.pid).children()
        await program.logs("Created stream CHORIA_EVENTS")
        async with below, client(below, context) as there, client(below, context, port=hq.client) as here:
            await meet(here, there)
            streams = here.jetstream()
            with stopped(program.pid):
                end = time.monotonic() + STALL
                async with asyncio.timeout(STALL + PATIENT), asyncio.TaskGroup() as tasks:
                    newcomers = [
                        tasks.create_task(turned_away(hq.client, context, user=f"new{n}")) for n in range(NEWCOMERS)
                    ]
                    while time.monotonic() < end:
                        await meet(here, there)
                        await streams.publish("choria.lifecycle.event.alive.x", b"{}", timeout=PATIENT)
                        await asyncio.sleep(0.05)
            assert max(each.result() for each in newcomers) < LATEST
            await let_in(hq.client, context)
            await meet(here, there)
            assert engine.is_running()
            assert (await streams.stream_info("CHORIA_EVENTS")).state.messages > 1
            assert await scraped(hq.statistics, 'choria_broker_engine_refusals_total{cause="timeout"') > 0
            assert await scraped(hq.statistics, "choria_broker_peers_connected") == 0
        await tells_its_status(config)
        # What reads the engine's pages has gone on by itself.
        read = await scraped(hq.statistics, "choria_network_total_connections")
        async with asyncio.timeout(INTERVAL + PATIENT):
            while await scraped(hq.statistics, "choria_network_total_connections") == read:
                await let_in(hq.client, context)
                await asyncio.sleep(0.2)
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_a_log_that_nobody_reads_holds_up_neither_answers_nor_the_end(
    tmp_path: Path, authority: Authority
) -> None:
    """As with ``choria-broker run | less``, stopped: the program's log goes to a pipe that is full."""
    node = Node("broker.example.net")
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    config = configure(tmp_path, authority, node, logfile=pipe, loglevel="debug")
    context = authority.context(authority.issue("bob.mcollective"))
    nothing = tmp_path / "nothing"
    async with started("run", "--debug", "--config", config, log=nothing) as program:
        await program.told("READY=1")
        for _ in range(100):
            await login(node.client, context)
        room = 4 * 1024 * 1024
        async with asyncio.timeout(PATIENT):
            assert (
                await scraped(node.statistics, 'choria_broker_dropped_total{identity="broker.example.net",what="log')
                >= 0
            )
        begun = time.monotonic()
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
        assert time.monotonic() - begun < PATIENT
    written = os.read(reader, room)
    assert b"Starting Network Broker" in written
    os.close(reader)
