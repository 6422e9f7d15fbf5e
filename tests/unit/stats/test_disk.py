"""How much is free on the disk of the store."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from choria_broker.stats.disk import StoreDisk

PATIENCE = 20.0


async def test_what_is_free_is_told_where_there_is_a_store(tmp_path: Path) -> None:
    disk, found = StoreDisk(), []
    for store in (tmp_path, tmp_path / "gone", tmp_path, None):
        await disk.look(store, PATIENCE)
        found.append(disk.free)
    assert [each is not None and each > 0 for each in found] == [True, False, True, False]
    assert found[1] is found[3] is None


def test_a_disk_that_does_not_answer_is_asked_once_and_holds_up_no_stop(tmp_path: Path) -> None:
    may_end, asked = threading.Event(), []

    def hang(store: Path) -> int:
        asked.append(store)
        may_end.wait()
        return 1

    async def look() -> int | None:
        disk = StoreDisk(hang)
        await disk.look(tmp_path, 0.01)
        await disk.look(tmp_path, 0.01)
        return disk.free

    # Here the end of the loop would wait for its own threads for ever.
    assert asyncio.run(look()) is None
    assert asked == [tmp_path]
    may_end.set()


async def test_an_answer_that_comes_late_counts_the_next_time(tmp_path: Path) -> None:
    may_end = threading.Event()

    def late(_store: Path) -> int:
        may_end.wait(PATIENCE)
        return 5

    disk = StoreDisk(late)
    await disk.look(tmp_path, 0.01)
    assert disk.free is None
    may_end.set()
    await disk.look(tmp_path, PATIENCE)
    assert disk.free == 5
