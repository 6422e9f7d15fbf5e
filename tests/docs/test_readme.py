"""The tour of the README: each of its lines does what it says, on a broker that is set up as it says."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from choria_broker.cli import main
from support.command import started
from support.pages import ROOT, blocks
from support.testbed import free_port

DEADLINE = 100.0
BIN = Path(sys.executable).parent
STARTS = ("choria-broker run", "choria-broker demo", "choria-broker init")
"""What the test does itself, or others test."""

SAYS = {
    "choria-broker check": "The broker would start",
    "choria-broker explain": "yes: may publish to mcollective.node.web1",
    "choria-broker status": "Health: All is well.",
    "choria-broker jwt": "Public Key: ",
    "choria-broker settings": "plugin.choria.broker_network",
    "curl http://127.0.0.1:8222/choria/ ": "broker.example.net",
    "curl http://127.0.0.1:8222/choria/prometheus": "choria_network_connections",
    "curl http://127.0.0.1:8222/choria/healthz": "ok",
    "curl http://127.0.0.1:8222/varz": "server_name",
}
"""What a line of the tour writes, by how it begins."""


def tour() -> list[str]:
    """Return the lines of the tour."""
    (block,) = (each for each in blocks(ROOT / "README.md") if "choria-broker explain" in each.text)
    return block.text.splitlines()


def test_the_heading_counts_its_lines() -> None:
    numbers = ("ten", "eleven", "twelve", "thirteen", "fourteen")
    heading = f"## A tour in {numbers[len(tour()) - 10]} lines"
    assert heading in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


def test_every_line_is_tried() -> None:
    assert [line for line in tour() if not line.startswith((*STARTS, *SAYS))] == []


async def run(line: str, folder: Path) -> str:
    """Run a line in a folder, and return what it wrote."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        line,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"},
    )
    written = (await process.communicate())[0].decode()
    assert process.returncode == 0, f"{line}: {written}"
    return written


@pytest.mark.slow
async def test_the_tour(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    statistics = str(free_port())
    words = ["init", str(tmp_path), "--identity", "broker.example.net", "--port", str(free_port())]
    made = await asyncio.to_thread(CliRunner().invoke, main, [*words, "--stats-port", statistics])
    assert made.exit_code == 0, made.output
    shutil.copy(tmp_path / "first/bob.mcollective.pem", tmp_path / "bob.pem")
    async with (
        asyncio.timeout(DEADLINE),
        started("run", "--config", tmp_path / "broker.conf", log=tmp_path / "none") as program,
    ):
        await program.told("READY=1")
        for line in tour():
            if not line.startswith(STARTS):
                (wanted,) = (text for begin, text in SAYS.items() if line.startswith(begin))
                written = await run(line.replace("127.0.0.1:8222", f"127.0.0.1:{statistics}"), tmp_path)
                assert wanted in written, line
