"""What is said about each class of trouble with a feature, and that the rest runs all the same where it should.

One row for each class (``support.feature_problems``). What cannot be a row:

* adapters and the federation broker: their classes are tested where they are resolved
  (``tests/unit/config/resolve/test_adapters.py``);
* making streams at run time: that is not a matter of the configuration;
* an engine that is never ready, or dies: ``test_life.py`` and ``test_command.py``.
"""

from __future__ import annotations

import functools
import os
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import check, main
from choria_broker.config.load import Loaded, load
from choria_broker.config.surroundings.discovery import Discovery
from choria_broker.config.surroundings.facts import Overrides, SrvAnswer
from choria_broker.errors import ConfigurationError
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding
from support.feature_problems import INFO, NET, REFUSE, ROWS, SKIP, WARN, Row, net
from support.testbed import Authority, client, configuration, free_port

LENIENT = Overrides(lenient=True)


def discovery(folder: Path) -> Discovery:
    """Ways to find things out on a machine without DNS and puppet."""
    return Discovery(
        addresses=lambda _host: (),
        is_local=lambda _address: False,
        srv=lambda record, _seconds: SrvAnswer(record, problem="no such record"),
        run=lambda _command, _seconds: "",
        tools=(),
        puppet_directory=folder / "nowhere",
        root=True,
    )


def written(folder: Path, authority: Authority, row: Row) -> Path:
    """Write the configuration of a row, and the files that it names and that are to be there."""
    authority.issue("other.example.net")
    if "FOLDER/signer.pem" in row.settings.values():  # An RSA key takes a tenth of a second: 85 are 8 seconds.
        authority.issue("signer", rsa=True)
    port = str(free_port())
    settings = {name: text.replace("FOLDER", str(folder)).replace("PORT", port) for name, text in row.settings.items()}
    return configuration(folder, authority, **settings)


def read(path: Path, folder: Path, overrides: Overrides | None = None) -> Loaded:
    return load(path, overrides, environ={}, discovery=discovery(folder))


def told(findings: tuple[Finding, ...], row: Row) -> tuple[tuple[Severity, str, str], ...]:
    """Sum findings up, without remarks that the row does not name."""
    named = {code for _, code, _ in row.told}
    return tuple(
        (finding.severity, finding.code, finding.key)
        for finding in findings
        if finding.severity is not INFO or finding.code in named
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_class_is_told_with_its_key(
    row: Row, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, authority, row)
    loaded = read(path, tmp_path)
    assert sorted(told(loaded.findings, row)) == sorted(row.told)
    text = "\n".join(map(str, loaded.findings))
    for words in row.says:
        assert words in text
    for finding in loaded.findings:
        if finding.key in path.read_text(encoding="utf-8") and finding.key:
            assert (finding.origin.file, finding.origin.line > 0) == (str(path), True)

    monkeypatch.setattr(check, "load", functools.partial(load, environ={}, discovery=discovery(tmp_path)))
    result = CliRunner().invoke(main, ["check", "--config", str(path)])
    assert result.exit_code == (0 if row.starts else 1), result.output


@pytest.mark.parametrize("row", [row for row in ROWS if row.starts], ids=lambda row: row.name)
async def test_the_rest_runs(row: Row, tmp_path: Path, authority: Authority) -> None:
    loaded = read(written(tmp_path, authority, row), tmp_path)
    assert loaded.settings is not None
    bob = authority.context(authority.issue("bob.mcollective"))
    async with NetworkBroker(loaded.settings, findings=loaded.findings) as broker:
        left_out = sum(severity is SKIP for severity, _, _ in row.told)
        labels = {"identity": "broker.example.net"}
        assert broker.registry.get_sample_value("choria_broker_config_errors", labels) == left_out
        if "plugin__security__issuer__names" not in row.settings:
            async with client(broker, bob) as connection:
                await connection.flush()


@pytest.mark.parametrize("row", [row for row in ROWS if not row.starts], ids=lambda row: row.name)
def test_what_is_refused_opens_nothing(row: Row, tmp_path: Path, authority: Authority) -> None:
    loaded = read(written(tmp_path, authority, row), tmp_path)
    assert loaded.settings is None
    lenient = read(written(tmp_path, authority, row), tmp_path, LENIENT)
    assert (lenient.settings is not None) is row.lenient
    if lenient.settings:
        assert [finding.severity for finding in lenient.findings if finding.lenient] == [WARN]


@pytest.mark.parametrize("name", ["client_port", "websocket_port", "leafnode_port", "pprof_port"])
async def test_a_port_in_use_is_refused_with_its_key_and_owner(name: str, tmp_path: Path, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = NetworkBroker.from_file(configuration(tmp_path, authority, **net(**{name: str(port)})))
        with pytest.raises(ConfigurationError) as caught:
            await broker.run()
    (finding,) = caught.value.findings
    assert (finding.severity, finding.code, finding.key) == (REFUSE, "port-unavailable", NET + name)
    assert f"process {os.getpid()}" in finding.problem


def test_an_address_of_another_host_is_refused(tmp_path: Path, authority: Authority) -> None:
    settings = net(listen_address="192.0.2.1", websocket_port=str(free_port()))
    with pytest.raises(ConfigurationError) as caught:
        NetworkBroker.from_file(configuration(tmp_path, authority, **settings))
    assert {(finding.code, finding.key) for finding in caught.value.findings} == {
        ("address-unavailable", f"{NET}listen_address")
    }


def engine_that(folder: Path, script: str) -> Path:
    """Make a program that takes the place of the engine."""
    path = folder / "engine"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(stat.S_IRWXU)
    return path


@pytest.mark.parametrize(
    ("script", "code", "says"),
    [
        (None, "engine-missing", "/nowhere/engine"),
        ("echo 'engine: x.conf:3:1: no such option' >&2; exit 1", "engine-refuses", "x.conf:3:1: no such option"),
    ],
)
def test_an_engine_that_is_not_there_or_objects(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, script: str | None, code: str, says: str
) -> None:
    engine = engine_that(tmp_path, script) if script else Path("/nowhere/engine")
    monkeypatch.setenv("CHORIA_BROKER_ENGINE", str(engine))
    path = configuration(tmp_path, authority)
    found = check.examine(path, Overrides()).findings
    assert [(finding.severity, finding.code) for finding in found] == [(REFUSE, code)]
    assert says in str(found[0])
    assert CliRunner().invoke(main, ["check", "--config", str(path)]).exit_code == 1
