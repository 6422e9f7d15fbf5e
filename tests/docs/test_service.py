"""The service unit: systemd accepts it, and what it takes away is not missed."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from support.pages import ROOT, names, rows
from support.testbed import Authority, configuration

UNIT = ROOT / "deploy/choria-broker.service"
DEADLINE = 60.0
PROGRAM = Path(sys.executable).parent / "choria-broker"


def options() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names of options have capitals
    parser.read(UNIT, encoding="utf-8")
    return dict(parser["Service"])


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("no systemd-analyze program")
    copy = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    assert "/opt/choria-broker/bin/choria-broker" in text
    copy.write_text(text.replace("/opt/choria-broker/bin/choria-broker", str(PROGRAM)), encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - the system's own program on our own file
        [analyze, "verify", copy], capture_output=True, text=True, timeout=40, check=False
    )
    about_it = [line for line in done.stderr.splitlines() if UNIT.stem in line]
    assert (done.returncode, about_it) == (0, [])


def test_what_the_broker_depends_on_is_set() -> None:
    found = options()
    assert found["Type"] == "notify"
    assert found["KillMode"] == "mixed"
    assert int(found["LimitNOFILE"]) >= 50_000 + 1_024
    assert int(found["TimeoutStopSec"]) > 60
    assert found["RuntimeDirectoryMode"] == "0700"
    assert int(found["WatchdogSec"]) >= 10


def test_the_page_explains_options_the_unit_has() -> None:
    found = options()
    for row in rows(ROOT / "docs/how-to/service.md", "What the options are for"):
        for name in names(row[0]):
            key, equals, value = name.partition("=")
            assert key in found
            assert not equals or found[key] == value


# What NoNewPrivileges, MemoryDenyWriteExecute and UMask do, handed down to the program and its engine.
CONFINED = """
import ctypes, os, sys
kernel = ctypes.CDLL(None)
if kernel.prctl(38, 1, 0, 0, 0) or kernel.prctl(65, 1, 0, 0, 0):
    sys.exit(77)
os.umask(0o027)
os.execv(sys.argv[1], sys.argv[1:])
"""


async def test_it_misses_nothing_of_what_the_unit_takes_away(tmp_path: Path, authority: Authority) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    config = configuration(tmp_path, authority)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CONFINED,
        PROGRAM,
        "run",
        "--config",
        config,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"RUNTIME_DIRECTORY": str(run)},
    )
    try:
        async with asyncio.timeout(DEADLINE):
            assert process.stdout is not None
            ready = False
            async for line in process.stdout:
                if ready := b"Server is ready" in line:
                    break
            if not ready and await process.wait() == 77:
                pytest.skip("this kernel cannot deny writable code")
            assert ready
            assert "engine.conf" in [file.name for file in run.glob("*/*")]
            process.terminate()
            await process.stdout.read()
            assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert not list(run.iterdir())


async def test_a_reload_by_the_unit_waits_and_fails_when_it_is_refused(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    command = shlex.split(options()["ExecReload"].replace("$$", "$"))
    assert command[:2] == ["/bin/sh", "-c"]
    script = command[2].replace("/opt/choria-broker/bin/choria-broker", str(PROGRAM))
    assert script.count("/etc/choria/broker.conf") == 1

    async def reloaded() -> int:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            script.replace("/etc/choria/broker.conf", str(config)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(DEADLINE):
            return await process.wait()

    async with NetworkBroker.from_file(config):
        good = config.read_text(encoding="utf-8")
        found = []
        for more in ("", "plugin.choria.network.websocket_port = 1\n", "plugin.choria.network.client_port = many\n"):
            config.write_text(good + more, encoding="utf-8")
            found.append(await reloaded())
        assert found == [0, 0, 1]
