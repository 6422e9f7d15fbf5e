"""The demonstration that ``make run`` starts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.demo.network import lay_out
from choria_broker.demo.people import CALLERS, CLIENT, SERVERS, SLOW, caller_id
from support.command import Program, started
from support.settled import recent
from support.testbed import client, free_port
from support.upgrading import Place

DEADLINE = 60.0


@contextlib.asynccontextmanager
async def demonstration(folder: Path) -> AsyncIterator[tuple[Program, Place]]:
    """Run the demonstration with its fleet."""
    place = Place(folder / "broker.conf", folder / "none", free_port(), free_port())
    words = ("--port", str(place.client), "--stats-port", str(place.statistics))
    async with started("demo", "--folder", folder, *words, log=place.log) as program:
        await program.told("READY=1")
        yield program, place


async def until(place: Place, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Ask the broker until its status is as wanted."""
    async with asyncio.timeout(DEADLINE):
        while not wanted(status := await place.status()):
            await asyncio.sleep(0.2)
    return status


def fleet_of(program: Program) -> list[psutil.Process]:
    """Find the process of the fleet."""
    children = psutil.Process(program.pid).children()
    return [each for each in children if "choria_broker.demo.fleet" in each.cmdline()]


def everybody_is_there(status: dict[str, Any]) -> bool:
    accepted = status["accepted"]
    clients = len(CALLERS) + 2
    return bool(accepted.get("server-token", 0) >= len(SERVERS) and accepted.get("client-token", 0) >= clients)


def test_it_makes_a_network_that_passes_the_check(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    statistics = str(free_port())
    ports = ["--port", str(free_port()), "--stats-port", statistics]
    made = CliRunner().invoke(main, ["demo", "--no-start", "--folder", str(folder), *ports])
    assert made.exit_code == 0
    assert made.output.strip().splitlines()[0] == f"The dashboard: http://127.0.0.1:{statistics}/ui/"
    assert f"check --config {folder}/broker.conf" in made.output
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert CliRunner().invoke(main, ["check", "--config", str(folder / "broker.conf")]).exit_code == 0


def test_a_running_demonstration_keeps_its_certificates(tmp_path: Path) -> None:
    words = ["demo", "--no-start", "--folder", str(tmp_path), "--stats-port", str(free_port()), "--port"]
    assert CliRunner().invoke(main, [*words, str(free_port())]).exit_code == 0
    before = (tmp_path / "ca.pem").read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, [*words, port])
    assert result.exit_code == 1
    assert f"port {port} is in use" in result.output
    assert (tmp_path / "ca.pem").read_bytes() == before


async def test_a_second_demonstration_leaves_the_files_of_one_that_runs(tmp_path: Path) -> None:
    """Other ports do not make it another one: certificates, tokens and the configuration are those of the folder."""
    demo = lay_out(tmp_path, port=free_port(), stats_port=free_port())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    ports = ["--port", str(free_port()), "--stats-port", str(free_port())]
    words = ["demo", "--no-start", "--folder", str(tmp_path), *ports]
    async with NetworkBroker.from_file(demo.config):
        result = await asyncio.to_thread(CliRunner().invoke, main, words)
        assert result.exit_code == 1
        assert f"the demonstration in {tmp_path} runs already; stop it, or choose another --folder" in result.output
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    result = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert result.exit_code == 0


async def test_strict_programs_accept_its_certificates(tmp_path: Path) -> None:
    demo = lay_out(tmp_path, port=free_port(), stats_port=free_port())
    context = ssl.create_default_context(cafile=str(demo.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(demo.client_certificate, demo.client_key)
    async with NetworkBroker.from_file(demo.config) as broker, client(broker, context):
        assert (await recent(broker))[-1].common_name == CLIENT


@pytest.mark.slow
async def test_the_fleet_is_there_is_refused_is_slow_and_goes_with_the_broker(tmp_path: Path) -> None:
    async with demonstration(tmp_path) as (program, place):
        await until(place, everybody_is_there)
        first = (await until(place, lambda status: "token-expired" in status["refused"]))["refused"]["token-expired"]
        await until(place, lambda status: status["refused"]["token-expired"] > first)
        status = await until(place, lambda status: any(each["kind"] == "slow" for each in status["denied"]))
        assert [each["who"] for each in status["denied"] if each["kind"] == "slow"] == [caller_id(SLOW)]
        dashboard = f"http://127.0.0.1:{place.statistics}/ui/"
        async with aiohttp.ClientSession() as session, session.get(dashboard) as answer:
            assert answer.status == 200
            assert "<html" in await answer.text()
        (fleet,) = fleet_of(program)
        before, since = fleet.cpu_times(), time.monotonic()
        asked = await place.command("connections", "--identity", SERVERS[0], "--json")
        assert asked[0] == 0
        assert SERVERS[0] in asked[1]
        await until(place, lambda _status: time.monotonic() > since + 10)
        after = fleet.cpu_times()
        used = after.user + after.system - before.user - before.system
        assert used / (time.monotonic() - since) < 0.05
        program.send(signal.SIGINT)
        assert await program.ended() == 0
        assert not fleet.is_running()


@pytest.mark.slow
async def test_a_broker_that_is_killed_leaves_no_fleet(tmp_path: Path) -> None:
    async with demonstration(tmp_path) as (program, place):
        await until(place, everybody_is_there)
        (fleet,) = fleet_of(program)
        program.send(signal.SIGKILL)
        await program.ended()
        await asyncio.to_thread(fleet.wait, DEADLINE)


@pytest.mark.slow
async def test_the_fleet_comes_back_to_a_broker_that_was_upgraded(tmp_path: Path) -> None:
    async with demonstration(tmp_path) as (program, place):
        await until(place, everybody_is_there)
        (fleet,) = fleet_of(program)
        assert (await place.command("upgrade"))[0] == 0
        assert fleet.is_running()
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
        await asyncio.to_thread(fleet.wait, DEADLINE)
