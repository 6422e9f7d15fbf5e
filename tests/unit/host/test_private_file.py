"""Files that are written as a whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from choria_broker.host.private_file import EVERYBODY_READS, OWNER_ONLY, replace_file


@pytest.mark.parametrize("mode", [OWNER_ONLY, EVERYBODY_READS])
def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("old and longer")
    replace_file(path, "new", mode=mode)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "file"
    other.write_text("not mine")
    path.symlink_to(other)
    replace_file(path, "new")
    assert (other.read_text(), path.read_text(), path.is_symlink()) == ("not mine", "new", False)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
