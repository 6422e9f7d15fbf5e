"""Checks for monitoring systems, of a broker that runs and of one that does not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner, Result

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.control.client import ask_status
from support.testbed import Authority, configuration

DEADLINE = 60.0


async def check(kind: str, config: Path, *options: str) -> Result:
    """Run a check as a monitoring system does."""
    arguments = ["check-health", kind, "--config", str(config), *options]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


async def test_a_monitoring_system_sees_a_broker_run_and_end(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(config):
        status = await asyncio.to_thread(ask_status, config)
        # A busy machine may take longer to answer than a broker should.
        answered = await check("connection", config, "--connect-warn", "1m", "--connect-critical", "2m", "--json")
        assert answered.exit_code == 0, answered.output
        assert json.loads(answered.output)["status"] == "OK"
        named = await check("server", config, "--name", status.identity, "--auth-required")
        assert named.exit_code == 0, named.output
        assert (await check("server", config, "--name", "another")).exit_code == 2
        # The testbed's certificates are good for some days only.
        good = await check("credential", config, "--validity-warn", "1s", "--validity-critical", "0s")
        assert (good.exit_code, good.output[:2]) == (0, "OK"), good.output
    gone = await check("connection", config)
    assert gone.exit_code == 2
    assert gone.output.startswith("CRITICAL Connection Crit:no broker runs with ")
