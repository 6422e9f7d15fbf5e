"""What is done to a store before the engine starts, when it is ready, and when it has ended."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from choria_broker.streams.safekeeping import Safekeeping, for_want_of_room
from choria_broker.streams.store import last_use, stream_directories
from choria_broker.streams.trouble import TroubleKind
from choria_broker.streams.use import Use
from support.streaming import contents

USE = Use("broker1.example.net", "CHORIA", ("broker2.example.net",))


def make(store: Path, account: str = "choria", stream: str = "X", block: bytes = b"messages") -> Path:
    """Make a stream's directory as the engine would."""
    directory = store / "jetstream" / account / "streams" / stream
    (directory / "msgs").mkdir(parents=True)
    (directory / "meta.inf").write_text("description")
    (directory / "msgs/1.blk").write_bytes(block)
    (directory / "msgs/index.db").write_bytes(b"index")
    return directory


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


def test_a_run_in_order_leaves_what_the_store_is_used_as_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path)
    before, keeping = contents(tmp_path), Safekeeping(tmp_path, USE)
    assert keeping.prepare() == ()
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    keeping.leave()
    after = contents(tmp_path)
    assert last_use(tmp_path) == USE
    after.pop("broker.json")
    assert after == before
    assert not (tmp_path / "kept").exists()


def test_what_is_kept_stays_and_is_told_at_the_next_start(tmp_path: Path) -> None:
    Safekeeping(tmp_path, USE).prepare()
    places = [
        tmp_path / "kept/choria.X.20260102T030405.000000",
        tmp_path / "kept/choria.X.20260102T030405.000001.damaged",
        tmp_path / "jetstream/choria/kept.Y.20260102T030405.000000",
    ]
    for place in places:
        place.mkdir(parents=True)
    Safekeeping(tmp_path, USE).leave()
    first, blocks, second = Safekeeping(tmp_path, USE).prepare()
    assert (first.kind, first.account, first.stream, first.place) == (TroubleKind.KEPT, "choria", "X", str(places[0]))
    assert str(places[0]) in first.words
    assert "jetstream/choria/streams/X" in first.remedy
    assert (blocks.kind, blocks.account, blocks.stream, blocks.place) == (
        TroubleKind.KEPT,
        "choria",
        "X",
        str(places[1]),
    )
    assert "damaged files of stream X of account choria" in blocks.words
    assert "streams/X" not in blocks.remedy
    assert str(places[2]) in second.words


def test_the_same_use_is_not_written_again(tmp_path: Path) -> None:
    Safekeeping(tmp_path, USE).prepare()
    before = (tmp_path / "broker.json").stat().st_ino
    Safekeeping(tmp_path, USE).prepare()
    assert (tmp_path / "broker.json").stat().st_ino == before
    Safekeeping(tmp_path, Use(USE.identity)).prepare()
    assert last_use(tmp_path) == Use(USE.identity)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broker.json", "kept"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_without_room_the_reason_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        Safekeeping(tmp_path, USE).prepare()
    assert for_want_of_room(caught.value)
    assert not (tmp_path / "broker.json").exists()
