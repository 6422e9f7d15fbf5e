"""The wheel, as somebody installs it who has Python and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from support.testbed import Authority, configuration

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 300


def execute(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603 - the test's own programs
        command, capture_output=True, text=True, timeout=DEADLINE, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done


def sources(folder: Path) -> Path:
    """Copy what a wheel is built from, so that a build leaves the tree under test as it is."""
    folder.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "hatch_library.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("src", "engine"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("_engine", "go.work*", "__pycache__"))
    return folder


def committed(tree: Path) -> str:
    """Make a tree a repository with one revision, and return that."""

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=A. Builder", "-c", "user.email=builder@example.net")
        return subprocess.run(  # noqa: S603 - fixed arguments
            ["/usr/bin/env", "git", "-C", tree, *who, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "(#1) everything")
    return git("rev-parse", "--short=12", "HEAD")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel as ``make wheel`` builds it."""
    folder = tmp_path_factory.mktemp("dist")
    tree = sources(folder / "tree")
    execute(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, tree)
    (built,) = folder.glob("choria_broker-*.whl")
    return built


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new environment and return its ``choria-broker``."""
    venv.create(folder, with_pip=True)
    execute(folder / "bin" / "python", "-m", "pip", "install", "-q", wheel, PATH="/usr/bin:/bin")
    return folder / "bin" / "choria-broker"


@pytest.mark.timeout(DEADLINE)
def test_the_wheel_holds_the_engine_for_its_platform(wheel: Path) -> None:
    assert "-py3-none-" in wheel.name
    assert "-any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {
            f"choria_broker/ui/{name}" for name in ("templates/frame.html", "assets/live.js", "assets/style.css")
        } <= {*names}
        engine = archive.getinfo("choria_broker/_engine/choria-broker-engine")
        assert engine.external_attr >> 16 & 0o111
    assert "choria_broker/py.typed" in names
    assert not [name for name in names if name.endswith((".go", ".txt")) and "_engine" in name]


@pytest.mark.timeout(DEADLINE)
async def test_it_starts_where_there_is_no_go(wheel: Path, tmp_path: Path) -> None:
    program = install(wheel, tmp_path / "venv")
    log = tmp_path / "broker.log"
    config = configuration(tmp_path, Authority(tmp_path), logfile=log)
    process = await asyncio.create_subprocess_exec(
        program, "run", "--config", config, env={"PATH": "/nowhere"}, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            while not (log.exists() and "Server is ready" in log.read_text(encoding="utf-8")):
                await asyncio.sleep(0.05)
            process.terminate()
            _, output = await process.communicate()
        assert process.returncode == 0, output.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.timeout(DEADLINE)
def test_a_wheel_tells_which_revision_it_was_built_from(tmp_path: Path) -> None:
    tree, folder = sources(tmp_path / "tree"), tmp_path / "dist"
    (tree / ".gitignore").write_text("_engine/\nbuild/\ngo.work*\n", encoding="utf-8")
    sha = committed(tree)
    more = {"CHORIA_BROKER_SKIP_ENGINE": "1", "CHORIA_BROKER_DOCUMENTATION": "https://docs.example.net"}
    execute(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, tree, **more)
    (built,) = folder.glob("choria_broker-*.whl")
    with zipfile.ZipFile(built) as archive:
        told = json.loads(archive.read("choria_broker/_engine/build.json"))
    assert told["sha"] == sha
    assert told["documentation"] == "https://docs.example.net"
    assert not (tree / "src/choria_broker/_engine/build.json").exists(), "the checkout goes on changing"
    assert dt.datetime.fromisoformat(told["date"]).tzinfo is not None


@pytest.mark.timeout(DEADLINE)
def test_without_an_engine_it_installs_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    execute(
        sys.executable,
        *("-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, sources(tmp_path / "tree")),
        CHORIA_BROKER_SKIP_ENGINE="1",
    )
    (wheel,) = folder.glob("choria_broker-*-py3-none-any.whl")
    program = install(wheel, tmp_path / "venv")
    config = configuration(tmp_path, Authority(tmp_path))
    done = subprocess.run([program, "run", "--config", config], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "The engine was not built because CHORIA_BROKER_SKIP_ENGINE=1 was set; mend that and reinstall choria-broker."
    )
