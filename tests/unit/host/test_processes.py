"""What processes take."""

from __future__ import annotations

import os

from choria_broker.host.processes import Processes

NOBODY = 2**22 + 1
"""No process has a number this high."""


def test_processes_are_added_up_and_those_that_are_gone_count_as_nothing() -> None:
    one, two = Processes([os.getpid()]), Processes([os.getpid(), NOBODY, os.getpid()])
    assert 0 < one.resident() < two.resident()
    assert two.cpu_percent() >= 0.0


def test_no_process_takes_nothing() -> None:
    assert (Processes().resident(), Processes().cpu_percent()) == (0, 0.0)
