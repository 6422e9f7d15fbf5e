"""What processes use of their host."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from choria_broker.host.use import read_use

OWN = os.getpid()
NOBODY = 2**22 + 1


def test_this_process_has_files_and_memory() -> None:
    found = read_use(OWN, OWN)
    assert 0 < found.descriptors < (found.descriptors_limit or 2**31)
    assert 0 < found.memory < found.memory_limit <= psutil.virtual_memory().total


def test_of_who_is_gone_nothing_is_known() -> None:
    found = read_use(NOBODY, NOBODY)
    assert (found.descriptors, found.descriptors_limit, found.memory) == (0, None, 0)


def test_the_smallest_limit_from_the_own_group_up_counts(tmp_path: Path) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    own = groups / "system.slice/broker.service"
    own.mkdir(parents=True)
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text("1:name=x:/other\n0::/system.slice/broker.service\n", encoding="utf-8")
    (own / "memory.max").write_text("max\n", encoding="ascii")
    (groups / "system.slice/memory.max").write_text("4096\n", encoding="ascii")
    assert read_use(OWN, OWN, groups, proc).memory_limit == 4096
