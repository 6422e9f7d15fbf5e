"""A broker whose places for connections run short says so, and tells how many there really are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from pathlib import Path

import aiohttp
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli.status import status
from choria_broker.status.health import Condition
from support.testbed import Authority, client, configuration, free_port

DEADLINE = 40.0
SAID = "more than 80 % of connections is used, of 5: raise"


async def test_connections_run_short(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    config = configuration(tmp_path, authority, network__max_connections=5, plugin__choria__stats_port=port)
    context = authority.context(authority.issue("bob.mcollective"))
    broker = NetworkBroker(NetworkBroker.from_file(config).settings, poll_interval=0.1)
    async with broker, aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(client(broker, context))
        async with asyncio.timeout(DEADLINE):
            while not any(SAID in reason for reason in broker._reporter.health().reasons):
                await asyncio.sleep(0.02)
        assert broker._reporter.health().condition is Condition.DEGRADED
        shown = (await asyncio.to_thread(CliRunner().invoke, status, ["--config", str(config)])).output
        assert "Connections used: 5 of 5\n" in shown
        assert "Descriptors used: " in shown
        text = (await asyncio.to_thread(broker.statistics.page)).decode()
        assert 'choria_broker_used{identity="broker.example.net",what="connections"} 5' in text
        assert 'choria_broker_limit{identity="broker.example.net",what="connections"} 5' in text
        # Fewer open files than the connections need: that is the limit then.
        beside = broker.settings.network.needed_files - 5
        _, hard = resource.prlimit(broker._engine.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(broker._engine.pid, resource.RLIMIT_NOFILE, (beside + 3, hard))
        async with asyncio.timeout(DEADLINE):
            while broker.statistics.most_connections != 3:
                await asyncio.sleep(0.02)
        for path, find in (("/varz", lambda page: page["max_connections"]), ("/choria/", _of_build)):
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                assert find(json.loads(await answer.text())) == 3


def _of_build(page: dict[str, dict[str, int]]) -> int:
    return page["build"]["max_broker_clients"]
