"""The page about draining: what it tells to type does what it says."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.status.drains import DRAINED, OFF
from support.pages import ROOT, blocks
from support.testbed import Authority, configuration

PAGE = ROOT / "docs/how-to/drain.md"


async def test_its_commands_drain_a_broker_and_take_that_back(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    lines = [line.removeprefix("$ ") for block in blocks(PAGE) for line in block.text.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("choria-broker ")]
    assert [command[0] for command in commands] == ["drain", "drain", "status", "drain", "drain", "status"]
    async with NetworkBroker.from_file(config) as broker:
        for command in commands:
            typed = [str(config) if word == "/etc/choria/broker.conf" else word for word in command]
            done = await asyncio.to_thread(CliRunner().invoke, main, typed)
            assert done.exit_code == 0, done.output
            assert broker.drains.report.state == (OFF if "--cancel" in command else DRAINED)
