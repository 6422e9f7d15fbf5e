"""Reading files, and what may stand in their place."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from choria_broker.host.facts import FileFact
from choria_broker.host.files import read_file


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\0b" * 100_000)
    assert read_file(path) == FileFact(b"a\0b" * 100_000)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing", FileFact(problem="No such file or directory", missing=True)),
        ("", FileFact(problem="is a directory")),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, told: FileFact) -> None:
    found = read_file(tmp_path / name)
    assert (found.content, found.missing) == (told.content, told.missing)
    assert found.problem.casefold() == told.problem.casefold()


@pytest.mark.parametrize("size", [16 * 1024 * 1024, 16 * 1024 * 1024 + 1])
def test_what_is_too_large_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(size)
    assert read_file(path).problem == ("" if size == 16 * 1024 * 1024 else "larger than 16 MiB")


@pytest.mark.parametrize("pieces", [[], [b"one"], [b"one", b"", b"two"], [b"x" * 200_000, b"y"]])
def test_a_pipe_is_read_to_its_end_whenever_that_comes(pipe: Path, pieces: list[bytes]) -> None:
    def write() -> None:
        time.sleep(0.3)  # Longer than a turn.
        with pipe.open("wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    assert read_file(pipe) == FileFact(b"".join(pieces))
    writer.join()


class Interrupted(BaseException):
    """What a handler of a signal raises."""


@pytest.fixture
def alarm() -> Iterator[None]:
    def handle(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, handle)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("written", [b"", b"half"])
def test_a_signal_that_comes_just_before_is_heeded(pipe: Path, written: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python heeds a signal between two steps of its own, and not while it waits in the kernel."""
    keeper = os.open(pipe, os.O_RDWR)
    os.write(keeper, written)
    real = os.read

    def late(descriptor: int, size: int) -> bytes:
        found = real(descriptor, size)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return found

    monkeypatch.setattr("choria_broker.host.files.os.read", late)
    if not written:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(Interrupted):
        read_file(pipe)
    os.close(keeper)
