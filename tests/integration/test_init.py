"""``choria-broker init``: what it makes passes the check, runs, and lets in whom it was made for."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from choria_broker.cli import main
from support.command import started
from support.testbed import Authority, free_port

pytestmark = pytest.mark.slow

DEADLINE = 60.0
IDENTITY = "broker.example.net"


def run(folder: Path, *words: str | Path) -> Result:
    ports = ("--port", str(free_port()), "--stats-port", str(free_port()))
    return CliRunner().invoke(main, ["init", str(folder), "--identity", IDENTITY, *ports, *map(str, words)])


def given(authority: Authority) -> list[str | Path]:
    own = authority.issue(IDENTITY, "127.0.0.1")
    return ["--ca", authority.ca, "--certificate", own.certificate, "--key", own.key]


def words_of(result: Result) -> dict[str, list[str]]:
    """Find the commands that were printed, by what they are."""
    found: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        if line.startswith("  "):
            words = shlex.split(line)
            name = "login" if "choria_broker.examples.login" in words else words[1]
            found[name] = words
    return found


@pytest.mark.parametrize("issuer", ["", "choria"])
@pytest.mark.parametrize("ready", [False, True], ids=["made", "given"])
async def test_what_it_prints_proves_that_it_works(
    tmp_path: Path, authority: Authority, issuer: str, *, ready: bool
) -> None:
    more = [*(given(authority) if ready else ()), *(("--issuer", issuer) if issuer else ())]
    result = run(tmp_path / "site", *more)
    assert (result.exit_code, result.stderr) == (0, "")
    commands = words_of(result)
    check = CliRunner().invoke(main, commands["check"][1:])
    assert check.exit_code == 0
    assert "few-open-files" not in check.output
    assert [line for line in check.stderr.splitlines() if line.startswith(("warn:", "refuse:", "skip:"))] == []
    async with asyncio.timeout(DEADLINE), started(*commands["run"][1:], log=tmp_path / "none") as program:
        await program.told("READY=1")
        login = await asyncio.create_subprocess_exec(
            *commands["login"], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        told = (await login.communicate())[0].decode()
    assert login.returncode == 0, told
    assert told == f"accepted {'as up=bob' if issuer else 'by certificate'}, account choria\n"


@pytest.mark.parametrize("issuer", ["", "choria"])
def test_private_files_are_private(tmp_path: Path, issuer: str) -> None:
    folder = tmp_path / "site"
    before = os.umask(0)
    try:
        assert run(folder, *(("--issuer", issuer) if issuer else ())).exit_code == 0
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert {mode for path, mode in modes.items() if path.suffix in {".key", ".seed", ".jwt"}} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} <= {0o700, 0o755}
    assert all(modes[folder / name] == 0o700 for name in ("first", *(["issuer"] if issuer else [])))


@pytest.mark.parametrize("name", ["broker.conf", f"ssl/{IDENTITY}.key", "issuer/choria.seed", "first/bob.jwt"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    there = tmp_path / name
    there.parent.mkdir(exist_ok=True)
    there.write_text("mine")
    result = run(tmp_path, "--issuer", "choria")
    assert result.exit_code == 1
    assert f"{there} exists already, and nothing is overwritten: choose another folder" in result.output
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [there]
    assert there.read_text() == "mine"


def test_a_link_to_nowhere_is_in_the_way_too(tmp_path: Path) -> None:
    (tmp_path / "broker.conf").symlink_to(tmp_path / "elsewhere")
    assert "exists already" in run(tmp_path).output
    assert not (tmp_path / "elsewhere").exists()


def test_certificates_that_could_not_be_used_leave_nothing(tmp_path: Path, authority: Authority) -> None:
    other = tmp_path / "other"
    other.mkdir()
    words = given(authority)
    words[1] = Authority(other, "stranger").ca
    folder = tmp_path / "site"
    result = run(folder, *words)
    assert result.exit_code == 1
    assert "refuse:" in result.stderr
    assert "nothing was written" in result.stderr
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "site")
    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert "choose a folder that you may write to" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--identity", "two words"], "--identity, 'two words', is not a host name: give the broker's with --identity"),
        (["--identity", "192.0.2.7"], "is not a host name"),
        (["--identity", ""], "is not a host name"),
        (["--host", "a b"], "--host 'a b' is neither a host name nor an IP address"),
        (["--issuer", "two words"], "--issuer 'two words' is not a name"),
        (["--issuer", "a.b"], "use at most 64 letters, digits, - and _"),
        (["--port", "4222", "--stats-port", "4222"], "choose two different ports"),
        (["--port", "0"], "--port"),
        (["--days", "0"], "--days"),
        (["--ca", "ca.pem"], "--certificate and --key are missing; give all three, or none"),
        (["--key", "key.pem", "--ca", "ca.pem"], "--certificate is missing"),
        (
            ["--ca", "a", "--certificate", "b", "--key", "c", "--host", "d"],
            "--host is only for a certificate that this command creates",
        ),
        (["--streams", "a,b"], "cannot be written in a configuration"),
        (["--streams", "a\nplugin.choria.network.client_port = 1"], "cannot be written in a configuration"),
        (["--user", "nobody-of-that-name"], "this machine has no user 'nobody-of-that-name'"),
    ],
)
def test_every_option_is_looked_at(tmp_path: Path, words: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "site"), "--identity", IDENTITY, *words])
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not (tmp_path / "site").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_that_the_broker_cannot_reach_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    result = run(closed / "site", "--user", "nobody")
    assert result.exit_code == 1
    assert "user nobody has no access to" in result.output
    assert list(closed.iterdir()) == []


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """Make a folder to which everybody gets."""
    folder = Path(tempfile.mkdtemp(prefix="choria-broker-init-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_broker_s_key_is_the_broker_s(open_to_all: Path) -> None:
    folder = open_to_all / "site"
    result = run(folder, "--user", "nobody")
    assert result.exit_code == 0
    owners = {path.name: path.owner() for path in folder.rglob("*") if path.is_file()}
    assert owners.pop(f"{IDENTITY}.key") == "nobody"
    assert set(owners.values()) == {"root"}
    assert "runuser -u nobody --" in result.stdout


def test_the_login_program_says_why_it_was_not_let_in(tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 0
    words = ["--ca", str(tmp_path / "ssl/ca.pem"), "--certificate", str(tmp_path / f"ssl/{IDENTITY}.pem")]
    program = [sys.executable, "-m", "choria_broker.examples.login", "--server", f"tls://127.0.0.1:{free_port()}"]

    async def call() -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *program, *words, "--key", str(tmp_path / f"ssl/{IDENTITY}.key"), stderr=asyncio.subprocess.PIPE
        )
        return process.returncode, (await process.communicate())[1].decode()

    begin = time.monotonic()
    told = asyncio.run(call())[1]
    assert time.monotonic() - begin < 30
    assert told.startswith("refused: ")
    assert "Traceback" not in told
