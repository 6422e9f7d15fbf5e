"""What becomes of a stand-in that is to be relieved."""

from __future__ import annotations

import subprocess
import sys

import pytest

from choria_broker.host.succession import Succession
from choria_broker.upgrade import relief
from choria_broker.upgrade.channel import channel


def left(pid: int) -> tuple[Succession, int]:
    """Leave a channel to a process, and return this with the descriptor of its other end."""
    ours, theirs = channel()
    before = Succession()
    with ours:
        before.bequeath(relief.CHANNEL, ours.fileno())
    before.tell(relief.CHANNEL, pid)
    return before.kept(), theirs.detach()


def test_without_a_stand_in_there_is_nothing_to_take_over() -> None:
    assert relief.relieved(Succession()) is None


def test_one_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relief, "PATIENCE", 0.05)
    program = "import sys, time; print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as hung:  # noqa: S603 - its own words
        assert hung.stdout is not None
        hung.stdout.readline()
        succession, other_end = left(hung.pid)
        with open(other_end, "rb"):  # noqa: PTH123 - a descriptor
            assert relief.relieved(succession) is None
        assert hung.stdout.read() == b""
