from __future__ import annotations

import os
from pathlib import Path

import pytest

from choria_broker.engine.rundir import RunDirectory


@pytest.fixture(autouse=True)
def _base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/another")


def test_files_are_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    with RunDirectory() as directory:
        assert directory.path.parent == tmp_path
        assert directory.path.stat().st_mode & 0o777 == 0o700
        path = directory.write("engine.conf", "one")
        assert path.stat().st_mode & 0o777 == 0o600
        directory.write("engine.conf", "two")
        assert path.read_text(encoding="utf-8") == "two"
        assert (directory.path / "engine.conf.last").read_text(encoding="utf-8") == "one"
        assert len(list(directory.path.iterdir())) == 2
    assert not directory.path.exists()


def test_what_a_killed_broker_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dead, alive, other = (tmp_path / f"choria-broker-run-{each}" for each in ("4194305-x", f"{os.getpid()}-x", "x-y"))
    for path in (dead, alive, other):
        path.mkdir()
        (path / "engine.conf").touch()
    link = tmp_path / "choria-broker-run-4194306-x"
    link.symlink_to(alive)
    with RunDirectory():
        assert not dead.exists()
        assert (alive / "engine.conf").exists()
        assert (other / "engine.conf").exists()
        assert link.is_symlink()
