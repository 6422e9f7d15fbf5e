"""How the installed program is started in the way in which this one was."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.upgrade.program import Program, program_of

PYTHON = "/opt/current/bin/python"


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "choria-broker"
    path.write_text("#!/nowhere/python\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_script_is_executed_by_its_path_for_its_interpreter_can_be_another_one_by_now(script: str) -> None:
    found = program_of([PYTHON, script, "run", "--config", "c"], [script, "run", "--config", "c"], PYTHON)
    assert found == Program(script, (script,), ("run", "--config", "c"))
    assert found.command("standin") == [script, "standin"]
    assert found.again == [script, "run", "--config", "c"]


@pytest.mark.parametrize(
    "words",
    [("-m", "choria_broker"), ("-X", "dev", "/opt/bin/choria-broker"), ("/not/a/script.py",)],
)
def test_everything_else_goes_through_the_interpreter_with_its_options(words: tuple[str, ...]) -> None:
    found = program_of(["python", *words, "run"], ["/somewhere", "run"], PYTHON)
    assert found.command("standin") == [PYTHON, *words, "standin"]
    assert found.again == ["python", *words, "run"]


def test_a_script_with_options_of_the_interpreter_keeps_them(script: str) -> None:
    found = program_of([PYTHON, "-I", script], [script], PYTHON)
    assert found.command("standin") == [PYTHON, "-I", script, "standin"]
