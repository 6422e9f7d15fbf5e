"""``choria-broker run`` as operators and service managers see it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from support.command import started
from support.testbed import Authority, configuration


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "broker.log"


@pytest.fixture
def config(tmp_path: Path, authority: Authority, log: Path) -> Path:
    return configuration(tmp_path, authority, logfile=log)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupt")])
async def test_an_orderly_stop(config: Path, log: Path, tmp_path: Path, number: signal.Signals, name: str) -> None:
    pid = tmp_path / "broker.pid"
    async with started("broker", "run", "--config", config, "--pid", pid, log=log) as program:
        await program.told("READY=1")
        assert pid.read_bytes() == str(program.pid).encode()
        assert pid.stat().st_mode & 0o777 == 0o644
        (engine,) = psutil.Process(program.pid).children()
        program.send(number)
        assert await program.ended() == 0
        assert not engine.is_running()
        assert not pid.exists()
        messages = [str(line["msg"]) for line in program.lines()]
    expected = [
        "Choria Broker version",
        "Starting Network Broker",
        "Skipping clustering configuration without any peers",
        "Starting new Network Broker with NATS version 2.",
        "Statistics gathering disabled, set plugin.choria.stats_port",
        f"Shutting down on {name}",
        "Setting forced shutdown to 1m0s",
        "Choria Network Broker shutting down",
        "Choria Network Broker shut down",
    ]
    places = [next(n for n, message in enumerate(messages) if message.startswith(text)) for text in expected]
    assert places == sorted(places)


async def test_engine_lines_are_logged_as_the_original_program_logs_them(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        line = await program.logs("Server is ready")
        assert (line["level"], line["component"]) == ("info", "network_broker")
        await program.logs("TLS required for client connections")


@pytest.mark.slow
async def test_a_hang_up_and_user_signals_leave_it_running(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            program.send(number)
        await program.logs("Reloaded, nothing had changed")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_quit_dumps_the_stacks_and_goes_on(config: Path, log: Path, tmp_path: Path) -> None:
    async with started("run", "--config", config, log=log, environment={"TMPDIR": str(tmp_path)}) as program:
        await program.told("READY=1")
        program.send(signal.SIGQUIT)
        line = await program.logs("Wrote the stacks")
        dump = Path(str(line["path"]))
        assert dump.name.startswith(f"choria-threaddump-{program.pid}-")
        assert "engine watch" in dump.read_text(encoding="utf-8")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_a_second_signal_changes_nothing(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        program.send(signal.SIGTERM)
        program.send(signal.SIGINT)
        assert await program.ended() == 0


async def test_a_killed_engine_ends_the_program_with_its_last_lines(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        psutil.Process(program.pid).children()[0].kill()
        assert await program.ended() == 1
        line = next(line for line in program.lines() if line["level"] == "fatal")
        assert any("Server is ready" in text for text in line["last_lines"])  # type: ignore[attr-defined]
        assert "the engine ended with signal 9" in await program.output()


async def test_a_killed_program_takes_its_engine_along(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        (engine,) = psutil.Process(program.pid).children()
        program.send(signal.SIGKILL)
        await program.ended()
        engine.wait(timeout=10)
        assert not engine.is_running()


async def test_a_port_in_use_is_named(tmp_path: Path, authority: Authority, log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = configuration(tmp_path, authority, logfile=log, network__client_port=port)
        async with started("run", "--config", config, log=log) as program:
            assert await program.ended() == 1
            output = await program.output()
    assert f"plugin.choria.network.client_port = {port}: port {port} is in use by process {os.getpid()}" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("plugin__choria__broker_network", "false", "all broker features are disabled"),
        ("plugin__choria__broker_network", "enabled", "plugin.choria.broker_network = enabled"),
        ("plugin__choria__network__client_port", "14230x", "plugin.choria.network.client_port = 14230x"),
        ("plugin__security__file__key", "/nowhere/key.pem", "/nowhere/key.pem"),
        ("loglevel", "verbose", "loglevel = verbose"),
    ],
)
async def test_bad_input_is_a_finding_and_exit_status_1(
    tmp_path: Path, authority: Authority, log: Path, setting: str, value: str, told: str
) -> None:
    config = configuration(tmp_path, authority, logfile=log, **{setting: value})
    async with started("run", "--config", config, log=log) as program:
        assert await program.ended() == 1
        output = await program.output()
    assert told in output
    assert f"{config}:" in output
    assert "Remedy:" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("arguments", [("run",), ("check",), ("b", "run")])
async def test_a_configuration_file_is_required(arguments: tuple[str, ...], log: Path) -> None:
    async with started(*arguments, log=log) as program:
        assert await program.ended() == 1
        assert "configuration file required" in await program.output()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
async def test_signals_are_heeded_from_the_first_moment(
    tmp_path: Path, authority: Authority, log: Path, number: signal.Signals
) -> None:
    fifo = tmp_path / "pipe.conf"
    os.mkfifo(fifo)
    config = configuration(tmp_path, authority, logfile=log)
    async with started("run", "--config", fifo, log=log, environment={"TMPDIR": str(tmp_path)}) as program:
        with await opened(fifo) as text:  # The program is now reading its configuration.
            program.send(number)
            text.write(config.read_bytes())
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_a_request_to_stop_while_it_reads_its_configuration_ends_it_in_order(tmp_path: Path, log: Path) -> None:
    fifo = tmp_path / "pipe.conf"
    os.mkfifo(fifo)
    async with started("run", "--config", fifo, log=log) as program:
        with await opened(fifo):
            program.send(signal.SIGTERM)
            assert await program.ended() == 0


async def test_a_reload_waits_for_no_pipe(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        config.unlink()
        os.mkfifo(config)
        program.send(signal.SIGHUP)
        await program.logs("Reload refused")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_signals_during_the_last_moments_change_nothing(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        program.send(signal.SIGTERM)
        await program.told("STOPPING=1")
        with contextlib.suppress(ProcessLookupError):
            while program.running:
                program.send(signal.SIGTERM)
                program.send(signal.SIGHUP)
                await asyncio.sleep(0.001)
        assert await program.ended() == 0


async def opened(fifo: Path) -> io.BufferedWriter:
    """Open a pipe for writing; this waits until the program reads from it."""
    async with asyncio.timeout(40):
        while True:
            with contextlib.suppress(OSError):  # Nobody reads yet.
                return os.fdopen(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK), "wb")
            await asyncio.sleep(0.01)


async def test_a_service_manager_that_does_not_listen_is_only_a_warning(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log, environment={"NOTIFY_SOCKET": "/nowhere"}) as program:
        await program.logs("Cannot notify the service manager of ")
        await program.logs("Server is ready")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
        assert sum("Cannot notify" in str(line["msg"]) for line in program.lines()) == 1


async def test_debug_may_stand_before_the_command(config: Path, log: Path) -> None:
    async with started("--debug", "broker", "run", "--config", config, log=log) as program:
        assert (await program.logs("Go build:"))["level"] == "debug"


async def test_an_unreadable_configuration_is_a_finding(config: Path, log: Path) -> None:
    config.unlink()
    config.mkdir()
    async with started("run", "--config", config, log=log) as program:
        assert await program.ended() == 1
        assert f"could not parse configuration: open {config}: " in await program.output()


async def test_an_engine_that_does_not_stop_is_killed_after_the_dumps(
    tmp_path: Path, authority: Authority, log: Path
) -> None:
    config = configuration(tmp_path, authority, logfile=log, network__soft_shutdown_timeout=1)
    async with started("run", "--config", config, log=log, environment={"TMPDIR": str(tmp_path)}) as program:
        await program.told("READY=1")
        (engine,) = psutil.Process(program.pid).children()
        engine.suspend()
        program.send(signal.SIGTERM)
        assert await program.ended() == 1
        messages = [str(line["msg"]) for line in program.lines()]
    assert not engine.is_running()
    dump = next(line for line in program.lines() if line["msg"] == "Wrote the stacks of all threads")
    assert "engine log" in Path(str(dump["path"])).read_text(encoding="utf-8")
    assert "Forced shutdown triggered after 1s: the engine was killed" in messages


async def test_without_an_engine_one_sentence_says_what_is_missing(config: Path, log: Path) -> None:
    environment = {"CHORIA_BROKER_ENGINE": "/nowhere/engine"}
    async with started("run", "--config", config, log=log, environment=environment) as program:
        assert await program.ended() == 1
        output = await program.output()
    assert "CHORIA_BROKER_ENGINE names /nowhere/engine, which is not an executable file." in output
    assert "Traceback" not in output


async def test_a_pid_file_that_cannot_be_written_stops_the_start(config: Path, log: Path) -> None:
    async with started("run", "--config", config, "--pid", "/nowhere/pid", log=log) as program:
        assert await program.ended() == 1
        assert "/nowhere/pid" in await program.output()


async def test_a_log_file_that_cannot_be_opened_stops_the_start(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority, logfile="/nowhere/broker.log")
    async with started("run", "--config", config, log=tmp_path / "none") as program:
        assert await program.ended() == 1
        assert "/nowhere/broker.log" in await program.output()


async def test_a_pid_file_is_not_written_through_a_link(config: Path, log: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="ascii")
    victim.chmod(0o600)
    pid = tmp_path / "broker.pid"
    pid.symlink_to(victim)
    async with started("run", "--config", config, "--pid", pid, log=log) as program:
        await program.told("READY=1")
        assert pid.read_text(encoding="ascii") == str(program.pid)
        assert victim.read_text(encoding="ascii") == "precious"
        assert victim.stat().st_mode & 0o777 == 0o600


async def test_signals_while_the_program_loads_its_code_do_not_kill_it(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.heeds(signal.SIGTERM)  # The last that is set; HUP may be ignored from the start, as under nohup.
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            program.send(number)
        await program.told("READY=1")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


async def test_a_request_to_stop_while_the_program_loads_its_code(config: Path, log: Path) -> None:
    async with started("run", "--config", config, log=log) as program:
        await program.heeds(signal.SIGTERM)  # The last that is set; HUP may be ignored from the start, as under nohup.
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
