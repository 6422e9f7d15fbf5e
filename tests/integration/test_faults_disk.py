"""Disks that are full: of the log, of the run directory, of the process id and of dumps; that of streams elsewhere.

Streams on a full disk are in ``test_streams_survival``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from support.command import Program, started
from support.stalls import PATIENT, let_in, megabytes
from support.streaming import mounted, use_up
from support.testbed import Authority
from support.topology import Node, configure

pytestmark = pytest.mark.slow

MOST_MEGABYTES = 110


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB with room for few files."""
    with mounted(tmp_path / "disk", "2m,nr_inodes=64") as place:
        yield place


def without_files(disk: Path) -> Callable[[], None]:
    """Make files until no more can be made; what removes them again."""
    made = []
    with contextlib.suppress(OSError):
        for number in range(1000):
            made.append(disk / f"file{number}")
            made[-1].touch()

    def remove() -> None:
        for each in made:
            each.unlink(missing_ok=True)

    return remove


def without_room(disk: Path) -> Callable[[], None]:
    """Fill the disk; what makes room again."""
    return use_up(disk).unlink


def without_much_room(disk: Path) -> Callable[[], None]:
    """Leave a page; what makes room again."""
    filler = use_up(disk)
    os.truncate(filler, filler.stat().st_size - 4096)
    return filler.unlink


FULL = {"room": without_room, "files": without_files}


def environment(folder: Path, run: Path) -> Mapping[str, str]:
    """Have the broker use a run directory, and another folder for all else."""
    return {"RUNTIME_DIRECTORY": str(run), "TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}


async def says_why_and_ends(program: Program, *texts: str) -> None:
    """Wait for the end of a program that cannot start, with one message that has these texts, and nothing left over."""
    assert await program.ended() == 1
    output = await program.output()
    for text in ("Could not run Choria: ", *texts):
        assert text in output, output
    assert "Traceback" not in output
    assert not psutil.Process().children()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shorten", "told"),
    [
        (without_room, "Remedy: free space there"),
        (without_files, "Remedy: free space"),
        (without_much_room, "choria-broker-run-"),
    ],
)
async def test_a_run_directory_without_room_stops_the_start_and_is_named(
    tmp_path: Path, authority: Authority, disk: Path, shorten: Callable[[Path], Callable[[], None]], told: str
) -> None:
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    config = configure(tmp_path, authority, node, logfile=log)
    make_room = shorten(disk)
    async with started("run", "--config", config, log=log, environment=environment(tmp_path, disk)) as program:
        await says_why_and_ends(program, "No space left on device", str(disk), told)
    assert not list(disk.glob("choria-broker-run-*"))
    make_room()
    async with started("run", "--config", config, log=log, environment=environment(tmp_path, disk)) as program:
        await program.told("READY=1")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0


@pytest.mark.parametrize("short_of", FULL)
async def test_a_run_directory_that_fills_up_keeps_everything_as_it_is_until_there_is_room(
    tmp_path: Path, authority: Authority, disk: Path, short_of: str
) -> None:
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    context = authority.context(authority.issue("bob.mcollective"))
    usual: dict[str, str | Path] = {"logfile": log}
    config = configure(tmp_path, authority, node, **usual)
    async with started("run", "--config", config, log=log, environment=environment(tmp_path, disk)) as program:
        await program.told("READY=1")
        before = sorted(each.name for each in disk.rglob("*"))
        make_room = FULL[short_of](disk)
        configure(tmp_path, authority, node, **usual, network__client_hosts="192.0.2.1", loglevel="debug")
        program.send(signal.SIGHUP)
        failed = await program.logs("Reload failed")
        assert "No space left on device" in str(failed)
        await let_in(node.client, context)
        make_room()
        # What was written in part is gone, and the file in use is the one before.
        assert sorted(each.name for each in disk.rglob("*") if not each.name.endswith(".last")) == before
        program.send(signal.SIGHUP)
        await program.logs("This setting is in use now")
        await let_in(node.client, context)
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
    assert list(disk.rglob("choria*")) == []


async def test_a_log_on_a_full_disk_stops_nothing_and_goes_on_when_there_is_room(
    tmp_path: Path, authority: Authority, disk: Path
) -> None:
    node, log = Node("broker.example.net"), disk / "broker.log"
    context = authority.context(authority.issue("bob.mcollective"))
    config = configure(tmp_path, authority, node, logfile=log, loglevel="debug")
    async with started("run", "--debug", "--config", config, log=tmp_path / "none") as program:
        await program.told("READY=1")
        filler = use_up(disk)
        for _ in range(60):
            await let_in(node.client, context)
        assert megabytes(program.pid) < MOST_MEGABYTES
        filler.unlink()
        async with asyncio.timeout(PATIENT):
            while "Log lines were dropped: No space left on device" not in log.read_text(encoding="utf-8"):
                await let_in(node.client, context)
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
        output = await program.output()
    assert output.count("Cannot write the log to ") == output.count("\n") > 0
    assert "shut down" in log.read_text(encoding="utf-8").splitlines()[-1]


async def test_a_process_id_on_a_full_disk_stops_the_start_and_leaves_nothing(
    tmp_path: Path, authority: Authority, disk: Path
) -> None:
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    config = configure(tmp_path, authority, node, logfile=log)
    make_room = without_room(disk)
    async with started("run", "--config", config, "--pid", disk / "pid", log=log) as program:
        await says_why_and_ends(program, str(disk / "pid"), "No space left on device")
    make_room()
    assert list(disk.iterdir()) == []


async def test_a_dump_on_a_full_disk_is_told_and_stops_nothing(
    tmp_path: Path, authority: Authority, disk: Path
) -> None:
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    config = configure(tmp_path, authority, node, logfile=log)
    own = {"RUNTIME_DIRECTORY": str(tmp_path), "TMPDIR": str(disk), "XDG_RUNTIME_DIR": str(tmp_path)}
    async with started("run", "--config", config, log=log, environment=own) as program:
        await program.told("READY=1")
        make_room = without_room(disk)
        program.send(signal.SIGQUIT)
        await program.logs("Cannot write the stacks")
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
    make_room()
    assert list(disk.iterdir()) == []
