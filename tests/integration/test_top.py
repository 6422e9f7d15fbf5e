"""``choria-broker top`` on a running broker: printed, as JSON, and live on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from click.testing import CliRunner
from nats.aio.client import Client

from choria_broker.background import beside
from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.testbed import Authority, client, configuration

DEADLINE = 60.0


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


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._shown = b""
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            self._shown += os.read(self._descriptor, 65536)
        except OSError:  # The program has ended.
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._news.set()

    async def shows(self, pattern: str) -> bytes:
        """Wait until something was drawn since the last call, and return what."""
        while not (found := re.search(pattern.encode(), self._shown, re.DOTALL)):
            self._news.clear()
            await self._news.wait()
        shown, self._shown = self._shown[: found.end()], self._shown[found.end() :]
        return shown

    def press(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)


@contextlib.asynccontextmanager
async def on_terminal(*arguments: str | Path) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "choria_broker", *map(str, arguments), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


async def test_a_terminal_is_drawn_on_until_somebody_quits(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    async with lively(config, authority), on_terminal("top", "--config", config, "--interval", "0.5") as terminal:
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
        async with on_terminal("top", "--config", config, "--interval", "0.5") as terminal:
            await terminal.shows("busy.example.net")
            await ending.aclose()
            await terminal.shows(r"\x1b\[\?1049l.*no broker runs")
            assert await terminal.process.wait() == 1
