"""Files of streams that outlive an engine which deletes what it cannot restore."""

from __future__ import annotations

import datetime as dt
import errno
import os
import shutil
from pathlib import Path

import pytest

from choria_broker.streams.safekeeping import Safekeeping, for_want_of_room, stream_directories
from choria_broker.streams.trouble import Kind

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def make(store: Path, account: str = "choria", stream: str = "X", block: bytes = b"messages") -> Path:
    """Make a stream's directory as the engine would."""
    directory = store / "jetstream" / account / "streams" / stream
    (directory / "msgs").mkdir(parents=True)
    (directory / "obs/consumer").mkdir(parents=True)
    (directory / "meta.inf").write_text("description")
    (directory / "msgs/1.blk").write_bytes(block)
    (directory / "obs/consumer/o.dat").write_bytes(b"state")
    return directory


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def keeping(store: Path) -> Safekeeping:
    return Safekeeping(store, lambda: NOW)


def test_streams_of_all_accounts_are_found_and_half_deleted_ones_are_not(tmp_path: Path) -> None:
    assert list(stream_directories(tmp_path)) == []
    make(tmp_path)
    make(tmp_path, "ACME", "Y")
    make(tmp_path, "ACME", ".Z")
    (tmp_path / "jetstream/file").write_text("")
    assert [(account, stream) for account, stream, _ in stream_directories(tmp_path)] == [
        ("ACME", "Y"),
        ("choria", "X"),
    ]


def test_a_start_in_order_leaves_no_trace(tmp_path: Path) -> None:
    make(tmp_path)
    before = files(tmp_path)
    safekeeping = keeping(tmp_path)
    assert safekeeping.lay_up() == ()
    assert (tmp_path / "kept").exists()
    assert safekeeping.settle() == ()
    assert files(tmp_path) == before
    assert not (tmp_path / "kept").exists()


def test_an_empty_store_stays_empty(tmp_path: Path) -> None:
    safekeeping = keeping(tmp_path)
    assert safekeeping.lay_up() == safekeeping.settle() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_the_engine_deletes_is_kept_whole(tmp_path: Path) -> None:
    directory, other = make(tmp_path), make(tmp_path, stream="Y")
    before = files(directory)
    safekeeping = keeping(tmp_path)
    safekeeping.lay_up()
    shutil.rmtree(directory)
    (trouble,) = safekeeping.settle()
    assert (trouble.kind, trouble.account, trouble.stream) == (Kind.DELETED, "choria", "X")
    place = tmp_path / "kept/choria.X.20260102T030405.000000"
    assert str(place) in trouble.words
    assert files(place) == before
    assert other.exists()
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [place.name]
    shutil.move(place, directory)
    assert files(directory) == before


def test_files_take_no_room_twice(tmp_path: Path) -> None:
    block = make(tmp_path) / "msgs/1.blk"
    keeping(tmp_path).lay_up()
    assert block.stat().st_nlink == 2


def test_a_start_that_was_cut_off_is_settled_by_the_next(tmp_path: Path) -> None:
    directory = make(tmp_path)
    make(tmp_path, stream="Y")
    keeping(tmp_path).lay_up()
    shutil.rmtree(directory)
    later = keeping(tmp_path)
    (trouble,) = later.lay_up()
    assert (trouble.kind, trouble.stream) == (Kind.DELETED, "X")
    assert later.settle() == ()
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_data_that_became_shorter_are_told(tmp_path: Path) -> None:
    block = make(tmp_path, block=b"x" * 100) / "msgs/1.blk"
    grown = make(tmp_path, stream="Y") / "msgs/1.blk"
    expired = make(tmp_path, stream="Z") / "msgs/1.blk"
    safekeeping = keeping(tmp_path)
    safekeeping.lay_up()
    with block.open("r+b") as file:
        file.truncate(30)
    grown.write_bytes(b"x" * 200)
    expired.unlink()
    (trouble,) = safekeeping.settle()
    assert (trouble.kind, trouble.stream) == (Kind.CUT, "X")
    assert "70 bytes shorter" in trouble.words


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_without_room_nothing_is_laid_up_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make(tmp_path)

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        keeping(tmp_path).lay_up()
    assert for_want_of_room(caught.value)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP])
def test_where_files_cannot_have_two_names_the_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    directory = make(tmp_path)

    def refused(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused)
    safekeeping = keeping(tmp_path)
    assert safekeeping.lay_up() == ()
    assert safekeeping.settle() == ()
    assert directory.exists()
    assert not (tmp_path / "kept").exists()
