"""What the service manager is told: signs of life, how the broker is, and that a stop takes longer."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import psutil
import pytest

from support.command import started
from support.testbed import Authority, OrderedClient, configuration, free_port, ignore_error

OFTEN = {"WATCHDOG_USEC": "600000"}
"""Signs of life within 0.6 s, so that there are five a second."""


@pytest.fixture
def config(tmp_path: Path, authority: Authority) -> Path:
    return configuration(tmp_path, authority, logfile=tmp_path / "log")


async def test_signs_of_life_come_only_while_the_engine_answers(config: Path, tmp_path: Path) -> None:
    async with started("run", "--config", config, log=tmp_path / "log", environment=OFTEN) as program:
        await program.told("READY=1")
        assert "STATUS=0 connections. All is well." in await program.tells("WATCHDOG=1")
        (engine,) = psutil.Process(program.pid).children()
        engine.suspend()
        for _ in range(3):
            assert "WATCHDOG=1" not in await program.tells("STATUS=The engine does not answer. 0 connections.")
        engine.resume()
        await program.tells("WATCHDOG=1")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_a_broker_that_stands_still_gives_no_sign_of_life(config: Path, tmp_path: Path) -> None:
    async with started("run", "--config", config, log=tmp_path / "log", environment=OFTEN) as program:
        await program.told("READY=1")
        process = psutil.Process(program.pid)
        process.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.01)
        program.forget()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await program.tells("WATCHDOG=1")
        process.resume()
        await program.tells("WATCHDOG=1")


async def test_nobody_else_is_watched_and_without_a_watchdog_there_are_only_sentences(
    config: Path, tmp_path: Path
) -> None:
    others = OFTEN | {"WATCHDOG_PID": "1"}
    async with started("run", "--config", config, log=tmp_path / "log", environment=others) as program:
        await program.told("READY=1")
        assert "WATCHDOG" not in await program.tells("STATUS=0 connections. All is well.")


async def test_the_engine_knows_nothing_of_the_service_manager(config: Path, tmp_path: Path) -> None:
    between_us = OFTEN | {"LISTEN_FDS": "0", "LISTEN_FDNAMES": "", "LISTEN_PID": "1"}
    async with started("run", "--config", config, log=tmp_path / "log", environment=between_us) as program:
        await program.told("READY=1")
        ours = Path(f"/proc/{program.pid}/environ").read_bytes()
        assert b"NOTIFY_SOCKET=" in ours
        for child in psutil.Process(program.pid).children(recursive=True):
            known = Path(f"/proc/{child.pid}/environ").read_bytes()
            for name in (b"NOTIFY_SOCKET", b"WATCHDOG_", b"LISTEN_"):
                assert name not in known


async def test_a_long_stop_asks_for_its_time(tmp_path: Path, authority: Authority) -> None:
    log, port = tmp_path / "log", free_port()
    config = configuration(tmp_path, authority, logfile=log, network__drain_on_stop="1h", network__client_port=port)
    async with started("run", "--config", config, log=log, environment=OFTEN) as program:
        await program.told("READY=1")
        identity, connection = authority.issue("one.mcollective"), OrderedClient()
        await connection.connect(
            f"tls://127.0.0.1:{port}", tls=authority.context(identity), allow_reconnect=False, error_cb=ignore_error
        )
        await program.tells("STATUS=1 connection. All is well.")
        program.send(signal.SIGTERM)
        await program.told("STOPPING=1")
        said = await program.tells("STATUS=Stopping. 1 connection. The broker is draining: 1 of 1 connection")
        assert "EXTEND_TIMEOUT_USEC=30000000" in said
        assert "WATCHDOG=1" in await program.tells("EXTEND_TIMEOUT_USEC=30000000")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
        await connection.close()
