"""``choria-broker top`` on a running broker: printed, as JSON, and live on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from click.testing import CliRunner
from nats.aio.client import Client

from choria_broker.background import beside
from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.terminal import on_terminal
from support.testbed import Authority, client, configuration

DEADLINE = 60.0
TOP = (sys.executable, "-m", "choria_broker", "top")


@contextlib.asynccontextmanager
async def lively(config: Path, authority: Authority) -> AsyncIterator[NetworkBroker]:
    """Run a broker with a client that says much and one that says nothing."""
    busy, idle = (authority.context(authority.issue(f"{name}.example.net")) for name in ("busy", "idle"))

    async def talk(connection: Client) -> None:
        while True:
            await connection.publish("mcollective.test", b"12345")
            await asyncio.sleep(0.005)

    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(config) as broker,
        client(broker, busy) as connection,
        client(broker, idle),
        beside(talk(connection), "talk"),
    ):
        yield broker


async def test_the_busiest_come_first(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    once = ("top", "--config", str(config), "--interval", "0.5", "--once")
    async with lively(config, authority):
        told = await asyncio.to_thread(CliRunner().invoke, main, [*once, "--json"])
        assert told.exit_code == 0, told.output
        found = json.loads(told.stdout)
        assert [each["holder"]["identity"] for each in found["sessions"]] == ["busy.example.net", "idle.example.net"]
        assert found["sessions"][0]["rates"]["in_msgs"] > 0 == found["sessions"][1]["rates"]["in_msgs"]
        assert found["busy"]["connections"] == 2
        assert 0.4 < found["busy"]["seconds"] < DEADLINE
        printed = await asyncio.to_thread(CliRunner().invoke, main, [*once, "--limit", "1"])
        assert "busy.example.net" in printed.stdout
        assert "idle.example.net" not in printed.stdout
    ended = await asyncio.to_thread(CliRunner().invoke, main, list(once))
    assert (ended.exit_code, "no broker runs" in ended.stderr) == (1, True)


async def test_a_terminal_is_drawn_on_until_somebody_quits(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    async with lively(config, authority), on_terminal(*TOP, "--config", config, "--interval", "0.5") as terminal:
        begun = await terminal.shows("busy.example.net.*idle.example.net.*\x1b\\[J")
        assert begun.count(b"\x1b[?1049h") == 1
        assert b"\x1b[2J" not in begun  # A cleared screen would flicker.
        terminal.press(b"\x1b[C")
        await terminal.shows("by bytes.*busy.example.net")
        terminal.press(b"\x1b[Dx\x1b[B\x1b[Aq")  # Keys come together, and one that means nothing is none.
        await terminal.shows(r"\x1b\[\?1049l")
        assert await terminal.process.wait() == 0


async def test_a_terminal_is_given_back_when_the_broker_ends(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    async with contextlib.AsyncExitStack() as ending:
        await ending.enter_async_context(lively(config, authority))
        async with on_terminal(*TOP, "--config", config, "--interval", "0.5") as terminal:
            await terminal.shows("busy.example.net")
            await ending.aclose()
            await terminal.shows(r"\x1b\[\?1049l.*no broker runs")
            assert await terminal.process.wait() == 1
