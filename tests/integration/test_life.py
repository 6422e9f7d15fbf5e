"""Start, stop and the ways to fail, through the programming interface."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.engine.running import Limits
from choria_broker.errors import ConfigurationError, EngineDiedError, NotReadyError
from support.testbed import Authority, configuration

DEADLINE = 60.0


def engines() -> list[psutil.Process]:
    return psutil.Process().children()


async def test_ready_on_entry_and_everything_gone_on_exit(tmp_path: Path, authority: Authority) -> None:
    broker = NetworkBroker.from_file(configuration(tmp_path, authority))
    states = [broker.started]
    async with broker:
        states.append(broker.started)
        await broker.wait_ready(0.1)
        port = broker.ports.client
        assert port
        assert broker.is_tls
        assert broker.is_verified_tls
        (engine,) = engines()
    states.append(broker.started)
    assert states == [False, True, False]
    assert not engine.is_running()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_connections_that_nobody_closes_end_with_the_broker(tmp_path: Path, authority: Authority) -> None:
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        closed, forgotten = await broker.connect(), await broker.connect()
        await closed.close()
        await forgotten.flush()
    assert (closed.is_closed, forgotten.is_closed) == (True, True)
    await closed.close()


async def test_run_serves_until_it_is_told_to_stop(tmp_path: Path, authority: Authority) -> None:
    broker = NetworkBroker.from_file(configuration(tmp_path, authority))
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(broker.run())
        await broker.wait_ready(DEADLINE)
        broker.stop()
        await running
    assert not engines()


async def test_stopping_before_it_is_ready_ends_in_order(tmp_path: Path, authority: Authority) -> None:
    broker = NetworkBroker.from_file(configuration(tmp_path, authority))
    broker.stop()
    async with asyncio.timeout(DEADLINE):
        await broker.run()
    assert not broker.started
    assert not engines()


async def test_a_broker_runs_once(tmp_path: Path, authority: Authority) -> None:
    broker = NetworkBroker.from_file(configuration(tmp_path, authority))
    async with broker:
        pass
    with pytest.raises(RuntimeError, match="once"):
        await broker.run()


async def test_an_error_of_the_caller_passes_and_the_engine_stops(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(ZeroDivisionError):
        async with NetworkBroker.from_file(configuration(tmp_path, authority)):
            raise ZeroDivisionError
    assert not engines()


async def test_an_engine_that_dies_takes_the_broker_down_with_its_last_lines(
    tmp_path: Path, authority: Authority
) -> None:
    broker = NetworkBroker.from_file(configuration(tmp_path, authority))
    with pytest.raises(EngineDiedError) as caught:
        async with asyncio.timeout(DEADLINE), broker:
            (engine,) = engines()
            engine.send_signal(signal.SIGKILL)
            await asyncio.Event().wait()
    assert caught.value.status == -signal.SIGKILL
    assert any("Server is ready" in line for line in caught.value.last_lines)


async def test_an_engine_that_is_never_ready_is_given_up(tmp_path: Path, authority: Authority) -> None:
    broker = NetworkBroker.from_file(configuration(tmp_path, authority))
    broker = NetworkBroker(broker.settings, limits=Limits(ready=0.0))
    with pytest.raises(NotReadyError):
        await broker.run()
    assert not engines()


async def test_a_port_in_use_is_named_with_its_owner_and_nothing_starts(tmp_path: Path, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = NetworkBroker.from_file(configuration(tmp_path, authority, network__client_port=port))
        with pytest.raises(ConfigurationError) as caught:
            await broker.run()
    (finding,) = caught.value.findings
    assert finding.key == "plugin.choria.network.client_port"
    assert (finding.origin.file, finding.origin.line) == (str(tmp_path / "broker.conf"), 5)
    assert str(port) in finding.problem
    assert str(os.getpid()) in finding.problem
    assert not engines()


async def test_an_address_that_is_not_local_is_refused(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, network__listen_address="192.0.2.1", network__client_port=4222)
    with pytest.raises(ConfigurationError) as caught:
        await NetworkBroker.from_file(path).run()
    (finding,) = caught.value.findings
    assert (finding.code, finding.key, finding.value) == (
        "address-unavailable",
        "plugin.choria.network.listen_address",
        "192.0.2.1",
    )


async def test_the_engines_configuration_is_private_and_goes_with_the_broker(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    path = configuration(tmp_path, authority, network__system__user="system", network__system__password="s3cret")
    async with NetworkBroker.from_file(path):
        (file,) = (tmp_path / "run").glob("*/engine.conf")
        assert file.parent.stat().st_mode & 0o777 == 0o700
        assert {each.name for each in file.parent.iterdir()} == {"engine.conf", "bridge", "pages", "revoked"}
        assert (file.parent / "bridge").is_socket()
        assert file.stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "run").iterdir())


async def test_the_password_of_the_system_user_never_reaches_the_engine(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    path = configuration(tmp_path, authority, network__system__user="system", network__system__password="s3cret")
    async with NetworkBroker.from_file(path):
        (file,) = tmp_path.glob("*/engine.conf")
        assert "s3cret" not in file.read_text(encoding="utf-8")


async def test_the_engine_gets_a_clean_environment(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_OPERATOR", "hunter2")
    async with NetworkBroker.from_file(configuration(tmp_path, authority)):
        (engine,) = engines()
        assert "A_SECRET_OF_THE_OPERATOR" not in engine.environ()
        assert os.getpgid(engine.pid) == engine.pid


async def test_a_bad_configuration_is_refused_with_its_place(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, network__client_port="14230x")
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "14230x" in text)
    with pytest.raises(ConfigurationError) as caught:
        NetworkBroker.from_file(path)
    assert f"{path}:{line}: plugin.choria.network.client_port = 14230x" in str(caught.value)
    assert "Remedy:" in str(caught.value)


def test_a_missing_file_is_a_finding_not_a_traceback(tmp_path: Path) -> None:
    loaded = load(tmp_path / "no.conf", Overrides())
    assert loaded.settings is None
    with pytest.raises(ConfigurationError, match=r"could not parse configuration"):
        NetworkBroker.from_file(tmp_path / "no.conf")
