"""Contexts for the nats command line: what is in them, who may read them, and why there may be none."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import main
from choria_broker.cli.context import _folder
from support.minting import ORGANIZATION, hex_of
from support.testbed import Authority, configuration

PASSWORD = "s3cret-password"
SYSTEM: dict[str, Any] = {"network__system__user": "admin", "network__system__password": PASSWORD}
ISSUER: dict[str, Any] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the contexts go; not there yet."""
    return tmp_path / "nats/context"


def run(account: str, config: Path, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["context", account, "--config", str(config), "--folder", str(folder), *options])


def settings(tmp_path: Path, authority: Authority, **more: Any) -> Path:
    return configuration(tmp_path, authority, **{"network__client_port": 4222, **more})


def test_the_system_account(tmp_path: Path, authority: Authority, folder: Path) -> None:
    result = run("system", settings(tmp_path, authority, **SYSTEM), folder)
    assert result.exit_code == 0, result.output
    file = folder / "choria-system.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = json.loads(file.read_text())
    assert found | {"cert": "", "key": ""} == {
        "description": "Choria broker broker.example.net, account system",
        "url": "tls://broker.example.net:4222",
        "user": "admin",
        "password": PASSWORD,
        "ca": str(authority.ca),
        "cert": "",
        "key": "",
    }
    assert Path(found["cert"]).is_file()
    assert Path(found["key"]).is_file()
    assert PASSWORD not in result.output
    assert "nats --context choria-system server list" in result.output


def test_the_choria_account_with_other_files(tmp_path: Path, authority: Authority, folder: Path) -> None:
    own = authority.issue("bob.mcollective")
    options = ["--name", "bob", "--certificate", str(own.certificate), "--key", str(own.key), "--ca", "relative.pem"]
    result = run("choria", settings(tmp_path, authority), folder, *options, "--server", "b1:4222", "--server", "b2")
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "bob.json").read_text()) == {
        "description": "Choria broker broker.example.net, account choria",
        "url": "tls://b1:4222,tls://b2",
        "ca": str(Path("relative.pem").absolute()),
        "cert": str(own.certificate),
        "key": str(own.key),
    }


def test_the_address_told_to_clients_comes_first(tmp_path: Path, authority: Authority, folder: Path) -> None:
    config = settings(tmp_path, authority, network__public_url="nats.example.net:4333")
    result = run("choria", config, folder, "--json")
    assert json.loads(result.output) == {
        "context": "choria",
        "file": str(folder / "choria.json"),
        "account": "choria",
        "url": "tls://nats.example.net:4333",
    }


def test_without_tls(tmp_path: Path, authority: Authority, folder: Path) -> None:
    assert run("choria", settings(tmp_path, authority), folder, "--disable-tls").exit_code == 0
    assert json.loads((folder / "choria.json").read_text()) == {
        "description": "Choria broker broker.example.net, account choria",
        "url": "nats://broker.example.net:4222",
    }


def test_nothing_is_overwritten_unasked(tmp_path: Path, authority: Authority, folder: Path) -> None:
    config = settings(tmp_path, authority)
    folder.mkdir(parents=True)
    file = folder / "choria.json"
    file.write_text("mine")
    file.chmod(0o644)
    result = run("choria", config, folder)
    assert result.exit_code == 1
    assert "--force overwrites it" in result.output
    assert file.read_text() == "mine"
    assert run("choria", config, folder, "--force").exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["url"] == "tls://broker.example.net:4222"


def test_a_network_of_tokens_takes_a_credentials_file(tmp_path: Path, authority: Authority, folder: Path) -> None:
    config = settings(tmp_path, authority, **ISSUER)
    result = run("choria", config, folder)
    assert result.exit_code == 1
    assert "clients need a token on this network" in result.output
    assert run("choria", config, folder, "--credentials", "/bob.creds").exit_code == 0
    assert json.loads((folder / "choria.json").read_text())["creds"] == "/bob.creds"


@pytest.mark.parametrize(
    ("account", "more", "words"),
    [
        ("system", {}, "set plugin.choria.network.system.user and plugin.choria.network.system.password"),
        ("choria", {"network__client_port": 0}, "give --server"),
        ("choria", {"network__client_port": "x"}, "choria-broker check"),
        (
            "system",
            SYSTEM | {"network__client_anon_tls": True} | ISSUER,
            "cannot send a token together with a password",
        ),
    ],
)
def test_why_there_is_none(
    tmp_path: Path, authority: Authority, folder: Path, account: str, more: dict[str, Any], words: str
) -> None:
    result = run(account, settings(tmp_path, authority, **more), folder)
    assert result.exit_code == 1, result.output
    assert words in result.output
    assert PASSWORD not in result.output
    assert not folder.exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "file").touch()
    result = run("choria", settings(tmp_path, authority), tmp_path / "file")
    assert result.exit_code == 1
    assert "file" in result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--name", "../x"),
        ("--name", "a/b"),
        ("--certificate", "x.pem"),
        ("--server", "bob:pw@host"),
    ],
)
def test_options_that_mean_nothing(
    tmp_path: Path, authority: Authority, folder: Path, options: tuple[str, ...]
) -> None:
    result = run("choria", settings(tmp_path, authority), folder, *options)
    assert (result.exit_code, folder.exists()) == (2, False)


def test_a_configuration_has_to_be_named() -> None:
    assert CliRunner().invoke(main, ["context", "choria"]).exit_code == 2


def test_where_the_nats_command_line_looks() -> None:
    assert _folder({"XDG_CONFIG_HOME": "/x"}) == Path("/x/nats/context")
    assert _folder({}) == Path.home() / ".config/nats/context"
