from __future__ import annotations

import os
from pathlib import Path

import pytest

from choria_broker.errors import BrokerError
from choria_broker.service.pid_file import pid_file


def test_the_file_is_there_for_as_long_as_the_broker_runs(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pid_file(path):
        assert path.read_text() == str(os.getpid())
        assert path.stat().st_mode & 0o777 == 0o644
    assert not path.exists()


def test_none_is_no_file() -> None:
    with pid_file(None):
        pass


def test_one_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(BrokerError, match=r"missing/pid, given with --pid: No such file"),
        pid_file(tmp_path / "missing/pid"),
    ):
        pytest.fail("nothing runs without its process id")
