"""Bundles made by a process of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from choria_broker.web.bundling import BundleError, Bundling

DEADLINE = 20.0


def program(script: str, patience: float = DEADLINE) -> Bundling:
    """Run a script in the place of the program."""
    return Bundling(lambda: ("--config", "/x y"), (sys.executable, "-c", f"import sys\n{script}"), patience)


@pytest.mark.parametrize("status", [0, 3])
async def test_the_file_is_what_the_command_writes(status: int) -> None:
    script = f"sys.stdout.write(' '.join(sys.argv[1:]) * 50000)\nsys.stderr.write('Not in it')\nsys.exit({status})"
    async with asyncio.timeout(DEADLINE):
        assert await program(script).made() == b"bundle --output - --config /x y" * 50000


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sys.exit('a line\\nthe reason')", "the bundle cannot be made: the reason"),
        ("sys.exit(0)", "the bundle cannot be made: no reason was given"),
        ("print('half'); sys.exit(1)", "the bundle cannot be made: no reason was given"),
        ("sys.exit('x' * 9000)", "x{300}$"),
    ],
)
async def test_what_went_wrong_is_told(script: str, why: str) -> None:
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(BundleError, match=why):
            await program(script).made()


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(BundleError, match="No such file"):
        await Bundling(tuple, ("/nowhere/program",)).made()


async def test_one_that_hangs_is_ended_and_the_next_can_be_made(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    making = program(script, 3.0)
    async with asyncio.timeout(DEADLINE):
        for _ in range(2):
            with pytest.raises(BundleError, match="not made within 3 s"):
                await making.made()
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid.read_text()), 0)


async def test_one_is_made_at_a_time() -> None:
    making = program("sys.stdin.read(); import time; time.sleep(1); print('x')")
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(making.made())
        await asyncio.sleep(0)
        with pytest.raises(BundleError, match="another bundle"):
            await making.made()
    assert first.result() == b"x\n"
