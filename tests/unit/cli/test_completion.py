"""Completion in shells: the scripts, and what the program answers to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from choria_broker.cli import main


def script(shell: str) -> str:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("bash", "complete -o nosort -F _choria_broker_completion choria-broker"),
        ("zsh", "#compdef choria-broker"),
        ("fish", "complete --no-files --command choria-broker"),
    ],
)
def test_the_script_of_a_shell(shell: str, words: str) -> None:
    found = script(shell)
    assert words in found
    assert f"_CHORIA_BROKER_COMPLETE={shell}_complete" in found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_reads_its_script(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    read = subprocess.run([program, "-n"], input=script(shell), capture_output=True, text=True, check=False)  # noqa: S603 - a shell of this machine
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("choria-broker rel", "plain,reload"),
        ("choria-broker check-health conn", "plain,connection"),
        ("choria-broker check-health server --conn-w", "plain,--conn-warn"),
        ("choria-broker broker rel", "plain,reload"),
        ("choria-broker server li", ""),
    ],
)
def test_what_is_completed(typed: str, expected: str) -> None:
    told = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_CHORIA_BROKER_COMPLETE": "bash_complete"}
    code = "import sys; sys.argv[:] = ['choria-broker']; from choria_broker.cli import program; program()"
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code], env=os.environ | told, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == expected
    assert done.stderr == ""


def test_a_shell_that_is_not_known() -> None:
    assert CliRunner().invoke(main, ["completion", "tcsh"]).exit_code == 2
