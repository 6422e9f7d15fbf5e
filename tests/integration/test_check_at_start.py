"""``choria-broker check`` meets what a start would: ports, the log file, a broker that runs already."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import main
from choria_broker.control.client import ControlError
from support.command import started
from support.testbed import Authority, configuration, free_port


def check(path: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", *options, "--config", str(path)])


async def checked(path: Path, *options: str) -> Result:
    return await asyncio.to_thread(check, path, *options)


def test_a_port_that_another_program_has_fails_the_check_and_is_named_first(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        port = other.getsockname()[1]
        result = check(configuration(tmp_path, Authority(tmp_path), network__client_port=port))
        assert result.exit_code == 1
        first, *_, last = result.stderr.splitlines()
        assert f"plugin.choria.network.client_port = {port}" in first
        assert f"port {port} is in use by process" in first
        assert last == "The broker would not start."
    assert check(tmp_path / "broker.conf").exit_code == 0


async def test_ports_of_the_running_broker_are_not_in_the_way_and_others_are(tmp_path: Path) -> None:
    ports, authority, log = (free_port(), free_port()), Authority(tmp_path), tmp_path / "log"

    def written(statistics: int) -> Path:
        settings = {"network__client_port": ports[0], "plugin__choria__stats_port": statistics}
        return configuration(tmp_path, authority, logfile=log, **settings)

    path = written(ports[1])
    async with started("run", "--config", path, log=log) as program:
        await program.told("READY=1")
        result = await checked(path)
        assert result.exit_code == 0, result.stderr
        *_, unseen, last = result.stderr.splitlines()
        held = f"that the running broker, process {program.pid}, uses: {ports[0]}, {ports[1]}"
        assert unseen.startswith(f"Not checked: the ports {held}")
        one = f"the one that runs with this configuration, process {program.pid}, has stopped"
        assert last == f"The broker would start after {one}."
        document = json.loads((await checked(path, "--json")).stdout)
        assert (document["starts"], document["running"]) == (True, program.pid)
        assert f"the port {ports[0]}" not in str(document["looked_at"])
        assert "the directory of the control socket, which that broker uses" in document["not_looked_at"]
        with socket.socket() as other:
            other.bind(("127.0.0.1", free_port()))
            other.listen()
            taken = other.getsockname()[1]
            result = await checked(written(taken))
            assert result.exit_code == 1
            assert f"port {taken} is in use" in result.stderr.splitlines()[0]
    assert "after the one" not in (await checked(written(ports[1]))).stderr


def test_a_broker_that_does_not_answer_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_config: Path) -> None:
        raise ControlError("the broker did not answer within 10 s")

    monkeypatch.setattr("choria_broker.cli.at_start.ask_status", silent)
    result = check(configuration(tmp_path, Authority(tmp_path)))
    assert "Not checked: the ports, because the broker that runs" in result.stderr


def test_what_was_not_looked_at_is_said(tmp_path: Path) -> None:
    more = {
        "network__peers": "nats://127.0.0.1:5222, nats://192.0.2.7:5222",
        "network__stream__store": str(tmp_path / "store"),
    }
    result = check(configuration(tmp_path, Authority(tmp_path), **more))
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Not checked: ")]
    assert "whether other brokers answer and accept this one" in line
    assert "the content of the files of streams" in line
    assert "limits and directories that a service unit sets" in line
    assert "the file for the process id, which run is given with --pid" in line
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Checked: ")]
    assert f"the streams' store and its disk, {tmp_path / 'store'}" in line


def test_what_was_looked_at_is_said_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    port, log = free_port(), tmp_path / "broker.log"
    path = configuration(tmp_path, Authority(tmp_path), logfile=log, network__client_port=port)
    options = ["run", "--check", "--config", str(path), "--pid", str(tmp_path / "pid")]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Checked: ")]
    assert f"the port {port}; the log file, {log}; the file for the process id, {tmp_path / 'pid'}; " in line
    assert f"the directory of the control socket, {tmp_path / 'run' / 'choria-broker-'}" in line
    assert "--pid" not in result.stderr
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "pid").exists()


def test_a_control_socket_without_a_place_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "file"))
    result = check(configuration(tmp_path, Authority(tmp_path)))
    assert result.exit_code == 1
    first = result.stderr.splitlines()[0]
    assert f"this user cannot make a directory in {tmp_path / 'file'}" in first
    assert "set RUNTIME_DIRECTORY" in first


@pytest.mark.parametrize("place", ["nowhere/pid", "a-directory"])
def test_a_file_for_the_process_id_that_cannot_be_written_fails_the_check(place: str, tmp_path: Path) -> None:
    (tmp_path / "a-directory").mkdir()
    path = configuration(tmp_path, Authority(tmp_path))
    result = CliRunner().invoke(main, ["run", "--check", "--config", str(path), "--pid", str(tmp_path / place)])
    assert result.exit_code == 1
    assert f"cannot write the process id to {tmp_path / place}, given with --pid" in result.stderr.splitlines()[0]


@pytest.mark.parametrize("place", ["nowhere/broker.log", "a-directory", "broker.log"])
def test_a_log_file_that_cannot_be_opened_fails_the_check(place: str, tmp_path: Path) -> None:
    (tmp_path / "a-directory").mkdir()
    result = check(configuration(tmp_path, Authority(tmp_path), logfile=tmp_path / place))
    fails = place != "broker.log"
    assert result.exit_code == int(fails)
    assert ("cannot open the log file" in result.stderr.splitlines()[0]) is fails
    assert not (tmp_path / "broker.log").exists()
