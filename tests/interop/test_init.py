"""Real Choria programs with what ``choria-broker init`` and the demonstration made for them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from choria_broker.cli import main
from choria_broker.demo.people import SERVERS
from support.command import started
from support.fleet import run_until
from support.testbed import free_port

pytestmark = pytest.mark.usefixtures("a_user")

DEADLINE = 150.0


@pytest.mark.parametrize("issuer", ["", "choria"])
async def test_a_server_answers_a_client_with_what_init_made(tmp_path: Path, choria: Path, issuer: str) -> None:
    folder, ports = tmp_path / "site", ("--port", str(free_port()), "--stats-port", str(free_port()))
    words = ["init", str(folder), "--identity", "broker.example.net", *ports, *(["--issuer", issuer] if issuer else [])]
    made = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert made.exit_code == 0, made.output
    async with (
        asyncio.timeout(DEADLINE),
        started("run", "--config", folder / "broker.conf", log=tmp_path / "none") as program,
    ):
        await program.told("READY=1")
        server = await asyncio.create_subprocess_exec(
            choria, "server", "run", "--config", folder / "first/server.conf", stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            outcome = await run_until(
                choria, "ping", "--config", folder / "first/client.conf", wanted=["node1.example.net", "1 replies"]
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                server.kill()
            await server.wait()
    assert outcome.status == 0


async def test_the_simulated_fleet_answers_a_real_client(tmp_path: Path, choria: Path) -> None:
    ports = ("--port", str(free_port()), "--stats-port", str(free_port()))
    async with (
        asyncio.timeout(DEADLINE),
        started("demo", "--folder", tmp_path, *ports, log=tmp_path / "none") as program,
    ):
        await program.told("READY=1")
        await run_until(
            choria, "ping", "--config", tmp_path / "client.conf", wanted=itertools.chain(SERVERS, ["20 replies"])
        )
