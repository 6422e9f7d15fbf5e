"""One file for a ticket, without a running broker."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import bundle as command
from choria_broker.cli import main
from support.leaks import leaks
from support.minting import client, mint
from support.testbed import Authority, configuration


def run(config: Path, output: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["bundle", "--config", str(config), "--output", str(output), *options])


def parts(file: Path) -> dict[str, str]:
    with tarfile.open(file) as archive:
        found = {}
        for member in archive.getmembers():
            assert member.mode == 0o600
            assert member.isreg()
            opened = archive.extractfile(member)
            assert opened
            found[member.name.partition("/")[2]] = opened.read().decode()
    return found


def settings(tmp_path: Path, authority: Authority, **more: Any) -> Path:
    return configuration(tmp_path, authority, network__client_port=4222, **more)


def test_without_a_broker_it_has_what_can_be_had(tmp_path: Path, authority: Authority) -> None:
    log = tmp_path / "broker.log"
    log.write_text(f"first\npassword syspass\ntoken {mint(client())}\nlast\n")
    login = {"network__system__user": "admin", "network__system__password": "syspass"}
    output = tmp_path / "bundle.tar.gz"
    result = run(settings(tmp_path, authority, logfile=log, **login), output)
    assert result.exit_code == 3, result.output
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    found = parts(output)
    assert set(found) == {"versions.json", "check.json", "configuration.txt", "log.txt", "contents.json"}
    assert not leaks("".join(found.values()) + result.output)
    assert found["log.txt"].splitlines()[0::3] == ["first", "last"]
    assert json.loads(found["check.json"])["running"] == 0
    assert "no broker runs with" in result.output
    assert "plugin.choria.stats_port" in result.output


def test_a_configuration_that_cannot_be_used(tmp_path: Path, authority: Authority) -> None:
    output = tmp_path / "bundle.tar.gz"
    result = run(configuration(tmp_path, authority, network__client_port="x"), output, "--json")
    assert result.exit_code == 3
    told = json.loads(result.output)
    assert told["parts"] == ["versions.json", "check.json", "contents.json"]
    assert json.loads(parts(output)["check.json"])["findings"]


def test_the_tail_of_a_long_log_begins_with_a_whole_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_TAIL", 10)
    log = tmp_path / "log"
    log.write_text("first\nsecond\nthird\n")
    assert command._tail(log) == "third\n"
    with pytest.raises(OSError, match="not a regular file"):
        command._tail(Path("/dev/null"))


def test_nothing_is_overwritten(tmp_path: Path, authority: Authority) -> None:
    output = tmp_path / "bundle.tar.gz"
    output.write_text("mine")
    result = run(settings(tmp_path, authority), output)
    assert (result.exit_code, output.read_text()) == (1, "mine")
    assert "exists already" in result.output
    assert run(settings(tmp_path, authority), tmp_path / "none/x").exit_code == 1


def test_what_cannot_be_written_whole_is_removed(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "_fill", fill)
    result = run(settings(tmp_path, authority), tmp_path / "x")
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert not (tmp_path / "x").exists()


def test_a_configuration_has_to_be_named() -> None:
    assert CliRunner().invoke(main, ["bundle"]).exit_code == 2


def test_it_can_be_written_to_standard_output(tmp_path: Path, authority: Authority) -> None:
    result = run(settings(tmp_path, authority), Path("-"))
    assert result.exit_code == 3
    (tmp_path / "told").write_bytes(result.stdout_bytes)
    found = parts(tmp_path / "told")
    assert "no broker runs with" in result.stderr
    assert any("no broker runs with" in each for each in json.loads(found["contents.json"])["missing"])
    mixed = run(settings(tmp_path, authority), Path("-"), "--json")
    assert mixed.exit_code == 2
    assert "leave one out" in mixed.output
