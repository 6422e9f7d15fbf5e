from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from choria_broker.host.appending import append_line


def test_a_line_is_added_and_all_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_bytes(b"# mine\nidentity a")
    file.chmod(0o640)
    before = file.stat()
    seen: list[bytes] = []

    def line(content: bytes) -> str:
        seen.append(content)
        return "identity b"

    assert append_line(file, line) == file
    assert seen == [b"# mine\nidentity a"]
    assert file.read_bytes() == b"# mine\nidentity a\nidentity b\n"
    after = file.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino, "readers see the old file or the new one"
    assert [each.name for each in tmp_path.iterdir()] == ["revoked"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.touch()
    os.chown(file, 12345, 23456)
    append_line(file, lambda _: "identity a")
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)


def test_a_link_stays_one(tmp_path: Path) -> None:
    target = tmp_path / "data" / "revoked"
    target.parent.mkdir()
    target.write_text("identity a\n")
    link = tmp_path / "revoked"
    link.symlink_to("data/revoked")
    assert append_line(link, lambda _: "identity b") == target
    assert link.is_symlink()
    assert link.read_text() == "identity a\nidentity b\n"


def test_a_missing_file_is_made_and_everybody_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    append_line(file, lambda content: f"identity {len(content)}")
    assert file.read_text() == "identity 0\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_nothing_is_written_without_a_line_or_after_an_error(tmp_path: Path) -> None:
    file = tmp_path / "revoked"

    def broken(_content: bytes) -> str:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - that one
        append_line(file, broken)
    append_line(file, lambda _: "")
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        append_line(tmp_path / "none" / "revoked", lambda _: "identity a")


def test_none_of_many_lines_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    threads = [
        threading.Thread(target=append_line, args=(file, lambda _, number=number: f"identity {number}"))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(file.read_text().split("\n")[:-1]) == sorted(f"identity {number}" for number in range(20))
