"""The tutorial, done as it is written, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.command import started
from support.pages import ROOT, Block, blocks
from support.surroundings import without_limits
from support.testbed import free_port

PAGE = ROOT / "docs/tutorial.md"
DEADLINE = 60.0


class Terminal:
    """A folder, and ports of this test in place of the usual ones."""

    def __init__(self, folder: Path) -> None:
        """Choose the ports."""
        self.folder = folder
        self.ports = {"4222": str(free_port()), "8222": str(free_port())}
        self._path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def adapt(self, text: str) -> str:
        """Replace the usual ports, and long keys by ones that are made sooner."""
        text = text.replace("rsa:3072", "rsa:2048")
        return re.sub(r"\b(4222|8222)\b", lambda found: self.ports[found[0]], text)

    def write(self, name: str) -> None:
        """Write a file the tutorial shows."""
        (block,) = (each for each in blocks(PAGE) if f"lab={name}" in each.marks)
        (self.folder / name).write_text(self.adapt(block.text), encoding="utf-8")

    @contextlib.asynccontextmanager
    async def running(self, script: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a script of the shell; on exit it is gone."""
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            script,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PATH": self._path, "HOME": str(self.folder.parent), "NO_COLOR": "1"},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def run(self, script: str, status: int | None = 0) -> str:
        """Run a script to its end, make sure of its exit status when one is given, and return what it wrote."""
        async with asyncio.timeout(DEADLINE), self.running(self.adapt(script)) as process:
            output = (await process.communicate())[0].decode()
            assert status in (None, process.returncode), output
            return output

    async def run_until(self, script: str, *wanted: str) -> str:
        """Run a script again and again until it writes all that is wanted; the caller sets the deadline."""
        while True:
            output = await self.run(script, status=None)
            if all(text in output for text in wanted):
                return output


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    folder = tmp_path / "work"
    folder.mkdir()
    return Terminal(folder)


def scripts(mark: str) -> list[Block]:
    found = [block for block in blocks(PAGE) if mark in block.marks]
    assert found
    return found


def shown_after(block: Block) -> list[str]:
    """The lines the tutorial shows right after a block."""
    following = next(each for each in blocks(PAGE) if each.line > block.line)
    return following.text.splitlines() if following.language == "text" and not following.marks else []


@pytest.mark.slow
async def test_the_demonstration_network(terminal: Terminal) -> None:
    ports = ("--port", terminal.ports["4222"], "--stats-port", terminal.ports["8222"])
    folder = terminal.folder / ".run"
    async with started("demo", "--folder", folder, *ports, log=terminal.folder / "none") as program:
        await program.told("READY=1")
        async with asyncio.timeout(DEADLINE):
            # The simulated fleet comes by itself.
            for name, seen in (("web1.demo.example.net", "connected"), ("mallory", "token-expired")):
                await terminal.run_until(f"choria-broker find --config .run/broker.conf {name}", seen)
        for block in scripts("demo"):
            script = block.text
            if block.language == "python":
                (terminal.folder / "program.py").write_text(terminal.adapt(script), encoding="utf-8")
                script = "python program.py"
            written = (await terminal.run(script)).splitlines()
            assert [line for line in written if line in shown_after(block)] == shown_after(block)
        if nats := os.environ.get("NATS_BIN") or shutil.which("nats"):
            command = f'nats() {{ {nats} "$@"; }}\n'
            await terminal.run(command + scripts("nats")[0].text)
            refused = await terminal.run(command + scripts("nats-refused")[0].text, status=1)
            assert "Authorization Violation" in refused


async def laid_out(terminal: Terminal) -> None:
    """Do what the tutorial does up to the start of the broker."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl program")
    terminal.write("broker.conf")
    outputs = [await terminal.run(block.text) for block in scripts("lab")]
    assert "The broker would start." in outputs[-1]
    assert "warn:" not in without_limits(outputs[-1])


@pytest.mark.slow
async def test_a_network_of_ones_own(terminal: Terminal) -> None:
    await laid_out(terminal)
    (wrong,) = scripts("lab-fails")
    written = await terminal.run(wrong.text.replace("s/8222/822x/", f"s/{terminal.ports['8222']}/822x/"), status=1)
    assert written.splitlines() == shown_after(wrong)
    (run,) = scripts("lab-run")
    async with asyncio.timeout(DEADLINE), terminal.running(run.text) as process:
        assert process.stdout is not None
        async for line in process.stdout:
            if b"Server is ready" in line:
                break


async def test_the_fleet_answers(terminal: Terminal) -> None:
    choria = os.environ.get("CHORIA_BIN") or shutil.which("choria")
    if not choria:
        pytest.skip("no choria program: set CHORIA_BIN or put choria on PATH")
    await laid_out(terminal)
    for name in ("node1.conf", "bob.conf"):
        terminal.write(name)
    command = f'choria() {{ {choria} "$@"; }}\n'
    async with (
        asyncio.timeout(DEADLINE),
        terminal.running(scripts("lab-run")[0].text) as broker,
        terminal.running(command + scripts("choria-server")[0].text),
    ):
        assert broker.stdout is not None
        async for line in broker.stdout:
            if b"cn=node1.example.net" in line:
                break
        ping, request = scripts("choria")
        # Connected is not yet subscribed: a program that asks too early says that nobody answers, and fails.
        await terminal.run_until(command + ping.text, "node1.example.net", "1 replies")
        await terminal.run_until(command + request.text, shown_after(request)[0])
