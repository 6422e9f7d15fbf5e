"""Commands that are asked something."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from choria_broker.host.commands import Commands

PATIENCE = 40.0


def says(text: str) -> list[str]:
    return [sys.executable, "-c", text]


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (says("print(' x ')"), "x"),
        (says("print('x'); raise SystemExit(1)"), ""),
        (["/no/such/program"], ""),
        (["with\0byte"], ""),
    ],
)
def test_what_a_command_says(command: list[str], output: str) -> None:
    assert Commands().run(command, PATIENCE) == output


def test_one_that_is_too_slow_ends() -> None:
    assert Commands().run(says("import time; time.sleep(600)"), 0.01) == ""


async def test_those_that_run_are_given_up_and_no_more_are_started(tmp_path: Path) -> None:
    commands, begun = Commands(), tmp_path / "begun"
    waits = says(f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)")
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(asyncio.to_thread(commands.run, waits, 600))
        while not begun.exists():
            await asyncio.sleep(0.02)
        commands.give_up()
    assert asked.result() == ""
    assert commands.run(says("print('x')"), PATIENCE) == ""
    commands.go_on()
    assert commands.run(says("print('x')"), PATIENCE) == "x"


PROGRAM = """
import asyncio, os, pathlib, sys
from choria_broker.host.apart import apart
from choria_broker.host.commands import COMMANDS

async def ends_meanwhile():
    tell = f"import os, pathlib, time; pathlib.Path({sys.argv[1]!r}).write_text(str(os.getpid())); time.sleep(600)"
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(apart(lambda: COMMANDS.run([sys.executable, "-c", tell], 600)))
        while not pathlib.Path(sys.argv[1]).exists() or not pathlib.Path(sys.argv[1]).read_text():
            await asyncio.sleep(0.02)
        asked.cancel()

asyncio.run(ends_meanwhile())
"""


def test_none_outlives_the_program(tmp_path: Path) -> None:
    told = tmp_path / "told"
    subprocess.run([*says(PROGRAM), str(told)], check=True, timeout=PATIENCE)  # noqa: S603 - its own text
    assert not psutil.pid_exists(int(told.read_text()))
