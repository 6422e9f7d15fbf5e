"""What processes take."""

from __future__ import annotations

import os
import signal
import subprocess

from choria_broker.host.processes import Processes, stands_still

NOBODY = 2**22 + 1
"""No process has a number this high."""


def test_processes_are_added_up_and_those_that_are_gone_count_as_nothing() -> None:
    one, two = Processes(lambda: [os.getpid()]), Processes(lambda: [os.getpid(), NOBODY, os.getppid()])
    assert 0 < one.resident() < two.resident()
    assert two.cpu_percent() >= 0.0


def test_processes_that_come_and_go_count_as_long_as_they_are_there() -> None:
    pids = [os.getpid()]
    several = Processes(lambda: pids)
    alone = several.resident()
    pids.append(os.getppid())
    assert several.resident() > alone
    pids.clear()
    assert (several.resident(), several.cpu_percent()) == (0, 0.0)


def test_no_process_takes_nothing() -> None:
    assert (Processes().resident(), Processes().cpu_percent()) == (0, 0.0)


def test_a_process_that_was_stopped_stands_still() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:  # noqa: S607 - the usual one
        try:
            assert not stands_still(process.pid)
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            assert stands_still(process.pid)
        finally:
            process.kill()
    assert not stands_still(NOBODY)
    assert not stands_still(0)
