"""``choria-broker check`` on the sample configurations of every network shape, judged by the real engine."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from choria_broker.cli import main
from choria_broker.settings.secret import MASK
from support.nats_server import Operator
from support.testbed import IDENTITY, Authority, configuration

GOLDEN = Path(__file__).parent.parent / "golden"
SHAPES = sorted(path.name.removesuffix(".choria.conf") for path in (GOLDEN / "samples").glob("*.choria.conf"))
PATH = re.compile(r"= (/(?:etc|var)/\S+)")
CREDENTIALS = Operator("OPS").user("OPS").text()


def adapted(shape: str, folder: Path) -> Path:
    """Copy a sample with every path moved below a folder, and put there what the paths name."""
    text = (GOLDEN / "samples" / f"{shape}.choria.conf").read_text(encoding="utf-8")
    for found in sorted({match[1] for match in PATH.finditer(text)}, key=len, reverse=True):
        text = text.replace(f"= {found}", f"= {folder}{found}")
    match = re.search(r"^identity = (\S+)", text, re.MULTILINE)
    assert match
    provide(folder, match[1], text)
    path = folder / "broker.conf"
    path.write_text(text, encoding="utf-8")
    return path


def provide(folder: Path, identity: str, text: str) -> None:
    """Put certificates, keys and credentials wherever a configuration says they are."""
    authority = Authority(folder)
    own = authority.issue(identity)
    signer = authority.issue("signer", rsa=True)
    contents = {"cert": own.certificate, "key": own.key, "ca": authority.ca, "signer": signer.certificate}

    def put(path: Path, what: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[what].read_bytes())

    ssldir = re.search(r"plugin\.choria\.ssldir = (\S+)", text)
    if ssldir:
        put(Path(ssldir[1], "certs", f"{identity}.pem"), "cert")
        put(Path(ssldir[1], "private_keys", f"{identity}.pem"), "key")
        put(Path(ssldir[1], "certs", "ca.pem"), "ca")
    for key, value in re.findall(rf"^(\S+) = ({re.escape(str(folder))}\S+)", text, re.MULTILINE):
        path = Path(value)
        if key.endswith((".certificate", ".cert")):
            put(path, "cert")
        elif key.endswith((".key",)):
            put(path, "key")
        elif key.endswith(".ca"):
            put(path, "ca")
        elif "signer" in key:
            put(path, "signer")
        elif key.endswith(".credentials"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(CREDENTIALS, encoding="utf-8")
        elif key.endswith(".store") or key == "logfile":
            path.parent.mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names do not resolve, so that findings are the same on every host."""
    found = socket.getaddrinfo

    def refuse(host: Any, port: Any, *, flags: int = 0, **more: Any) -> list[Any]:
        if host == "localhost" or flags & socket.AI_NUMERICHOST:
            return found(host, port, flags=flags, **more)  # What every host knows by itself.
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "puppet-minimal"])
def test_each_shape_passes_and_renders_as_agreed(shape: str, tmp_path: Path) -> None:
    config = adapted(shape, tmp_path)
    result = CliRunner().invoke(main, ["check", "--json", "--config", str(config)])
    document = json.loads(result.stdout)
    assert not [finding for finding in document["findings"] if finding["severity"] == "refuse"]
    assert result.exit_code == 0
    rendered = document["engine_configuration"].replace(str(tmp_path), "")
    golden = GOLDEN / f"{shape}.engine.conf"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("shape", ["cluster", "standalone", "provisioning", "puppet-full"])
def test_no_secret_of_the_configuration_is_shown(shape: str, tmp_path: Path) -> None:
    config = adapted(shape, tmp_path)
    secrets = re.findall(r"password = (\S+)", config.read_text(encoding="utf-8"))
    assert secrets
    for arguments in (["check"], ["check", "--json"]):
        result = CliRunner().invoke(main, [*arguments, "--config", str(config)])
        for secret in secrets:
            assert secret not in result.output
        shown = json.loads(result.stdout)["engine_configuration"] if "--json" in arguments else result.stdout
        assert (MASK in shown) is (shape == "cluster")


def test_findings_are_shown_together_the_worst_first(tmp_path: Path) -> None:
    config = configuration(
        tmp_path,
        Authority(tmp_path),
        loglevel="loud",
        network__client_port="x",
        network__websocet_port=4333,
    )
    result = CliRunner().invoke(main, ["check", "--config", str(config)])
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["refuse", "refuse", "warn"]
    assert "plugin.choria.network.websocket_port" in lines[2]
    assert lines[-1] == "The broker would not start."
    assert result.stdout == ""


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "lines",
    [
        ("plugin.choria.network.gateway_name = a\x1b[31m\u202e\x07b", "plugin.choria.adapters = \x9b2J\x1b]0;x\x07"),
        ("plugin.choria.network.gateway_name = nats://u:hunter2@h", "plugin.security.vault.token = hunter2"),
        ("plugin.choria.network.peers = nats://u:hunter2", "plugin.choria.nats.pass hunter2=="),
        ("identity = https://a/?token=hunter2", "plugin.choria.network.peers = hunter2@a:5222, b:5222"),
        ("plugin.choria.network.leafnode_remotes = u:hunter2@a:1", "loglevel = hunter2-hunter2"),
        ("identity = broker.example.net plugin.choria.network.peer_password = hunter2",),
    ],
)
def test_hostile_and_misplaced_values_reach_no_terminal(
    tmp_path: Path, authority: Authority, lines: tuple[str, ...], *, as_json: bool
) -> None:
    path = configuration(tmp_path, authority)
    for end in ("\n", "\r"):
        path.write_text(end.join([*path.read_text().splitlines(), *lines]) + end, newline="")
        result = CliRunner().invoke(main, ["check", "--config", str(path), *(["--json"] if as_json else [])])
        assert isinstance(result.exception, SystemExit | None)
        assert result.output.replace("\n", "").isprintable()
        assert "hunter2" not in result.output


def test_lenient_reading_starts_where_the_original_program_does(tmp_path: Path) -> None:
    config = configuration(tmp_path, Authority(tmp_path), network__client_port="14230x")
    result = CliRunner().invoke(main, ["check", "--lenient-config", "--config", str(config)])
    assert result.exit_code == 0
    assert "port: 4222" in result.stdout


def test_run_has_a_dry_run_too(tmp_path: Path) -> None:
    config = configuration(tmp_path, Authority(tmp_path))
    result = CliRunner().invoke(main, ["run", "--check", "--config", str(config)])
    assert result.exit_code == 0
    assert f'server_name: "{IDENTITY}"' in result.stdout


def test_a_missing_engine_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORIA_BROKER_ENGINE", "/nowhere/engine")
    config = configuration(tmp_path, Authority(tmp_path))
    result = CliRunner().invoke(main, ["check", "--config", str(config)])
    assert result.exit_code == 1
    assert "/nowhere/engine" in result.stderr


def shell(command: str) -> subprocess.CompletedProcess[str]:
    line = ["bash", "-c", command]
    return subprocess.run(line, capture_output=True, text=True, timeout=40, check=False)  # noqa: S603 - our own


def test_limits_of_the_host_are_told_with_the_line_to_write(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, network__max_connections=4000)
    program = Path(sys.executable).with_name("choria-broker")
    done = shell(f"ulimit -n 2000; exec {program} check --json --config {path}")
    assert done.returncode == 0, done.stderr
    told = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    if shell("ulimit -n 2000; ulimit -n 5024").returncode:  # Who may raise the limit has no trouble.
        assert "LimitNOFILE=5024 " in told["few-open-files"]["remedy"]
        assert told["few-open-files"]["key"] == "plugin.choria.network.max_connections"
    somaxconn = Path("/proc/sys/net/core/somaxconn")
    assert ("short-listen-queue" in told) is (somaxconn.exists() and int(somaxconn.read_text()) < 4000)
