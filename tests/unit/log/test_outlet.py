"""The log is written by a thread of its own: whoever logs never waits, and what is lost is told."""

from __future__ import annotations

import fcntl
import io
import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from choria_broker.log.outlet import LogFile, Outlet, OutletHandler
from choria_broker.log.structured import ROOT, component, configure, drain
from choria_broker.settings.broker import LogLevel
from support.streaming import mounted, use_up

PATIENCE = 10.0


class FullDisk:
    """A stream that fails until there is room again."""

    encoding = "utf-8"
    name = "/var/log/x.log"

    def __init__(self) -> None:
        self.full = True
        self.written: list[str] = []

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        self.written.append(text)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe that holds one page, and that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    yield reader, stream
    stream.close()


def read_all(descriptor: int) -> list[str]:
    """Read a pipe to its end in a thread, since the writer may wait for it."""
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        return stream.read().splitlines()


def test_lines_are_written_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    stream = path.open("a", encoding="utf-8")
    outlet = Outlet(stream, owned=True)
    for number in range(10_000):
        outlet.write(f"{number} é\n")
    outlet.end(PATIENCE)
    assert path.read_text(encoding="utf-8").splitlines() == [f"{number} é" for number in range(10_000)]
    assert stream.closed


class Timed(io.StringIO):
    """A stream that knows when it was written to, and how many lines each time."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[float, int]] = []

    def write(self, text: str) -> int:
        self.writes.append((time.monotonic(), text.count("\n")))
        return super().write(text)


def test_while_many_lines_come_they_are_written_together() -> None:
    stream = Timed()
    outlet = Outlet(stream)
    for number in range(100):
        outlet.write(f"{number}\n")
        time.sleep(0.004)
    assert outlet.drain(PATIENCE)
    assert stream.getvalue().splitlines() == [str(number) for number in range(100)]
    *writes, _ = stream.writes  # The last one was in a hurry.
    for (moment, lines), (following, _) in itertools.pairwise(writes):
        assert following - moment > (0.09 if lines >= 3 else 0.015)
    outlet.end(PATIENCE)


def test_a_burst_does_not_wait_for_more_until_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("choria_broker.log.outlet._GATHERING", PATIENCE)
    monkeypatch.setattr("choria_broker.log.outlet._GATHERING_MANY", PATIENCE)
    stream = Timed()
    outlet = Outlet(stream)
    began = time.monotonic()
    outlet.write("first\n")
    time.sleep(0.05)  # The thread waits for more by then.
    for _ in range(100):
        outlet.write("x" * 1000 + "\n")
    while not stream.writes and time.monotonic() - began < PATIENCE:
        time.sleep(0.01)
    assert time.monotonic() - began < PATIENCE / 2
    outlet.end(PATIENCE)
    assert stream.getvalue().count("\n") == 101


def test_a_pipe_nobody_reads_holds_nobody_up_and_the_log_tells_what_is_missing(
    full_pipe: tuple[int, TextIO], log_as_before: logging.Logger
) -> None:
    reader, stream = full_pipe
    outlet = Outlet(stream, room=20_000)
    handler = OutletHandler(outlet)
    handler.setFormatter(logging.Formatter("%(message)s %(lines)s", defaults={"lines": ""}))
    log_as_before.handlers[:], log_as_before.propagate = [handler], False
    log_as_before.setLevel(logging.INFO)
    dropped = Outlet.dropped_by_all
    begun = time.monotonic()
    for number in range(2000):
        logging.getLogger(f"{ROOT}.x").info("line %d %s", number, "x" * 100)
    assert time.monotonic() - begun < PATIENCE / 2
    lost = Outlet.dropped_by_all - dropped
    assert 0 < lost < 2000
    assert not outlet.drain(0.01)

    lines: list[str] = []
    reading = threading.Thread(target=lambda: lines.extend(read_all(reader)))
    reading.start()
    assert outlet.drain(PATIENCE)
    logging.getLogger(f"{ROOT}.x").info("after")
    assert outlet.drain(PATIENCE)
    outlet.end(PATIENCE)
    stream.close()
    reading.join(PATIENCE)
    told = [line for line in lines if "were dropped" in line]
    assert sum(int(line.rpartition(" ")[2]) for line in told) == lost
    assert len(lines) - len(told) - 1 + lost == 2000
    assert lines.index("line 0 " + "x" * 100 + " ") == 0


def test_ending_does_not_wait_for_ever(full_pipe: tuple[int, TextIO]) -> None:
    reader, stream = full_pipe
    outlet = Outlet(stream)
    outlet.write("x" * 100_000 + "\n")
    begun = time.monotonic()
    outlet.end(0.05)
    assert time.monotonic() - begun < PATIENCE / 2
    threading.Thread(target=read_all, args=(reader,), daemon=True).start()  # Lets the thread go.
    assert outlet.drain(PATIENCE)


def test_a_full_disk_is_told_once_and_the_log_goes_on_when_it_can(capsys: pytest.CaptureFixture[str]) -> None:
    disk = FullDisk()
    outlet = Outlet(disk)  # type: ignore[arg-type]
    dropped = Outlet.dropped_by_all
    for number in range(5):
        outlet.write(f"{number}\n")
        assert outlet.drain(PATIENCE)
    assert Outlet.dropped_by_all - dropped == 5
    disk.full = False
    outlet.write("after\n")
    assert outlet.drain(PATIENCE)
    assert disk.written == ["after\n"]
    assert capsys.readouterr().err == (
        "Cannot write the log to /var/log/x.log: No space left on device; "
        "log lines are dropped until it can be written again\n"
    )
    outlet.end(PATIENCE)


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    outlet = Outlet(path.open("a", encoding="utf-8"), owned=True)
    write, left = os.write, [3]

    def short(descriptor: int, data: bytes) -> int:
        if not left:
            return write(descriptor, data)
        allowed = left.pop()
        if not allowed:
            raise OSError(28, "No space left on device")
        left.append(0)
        return write(descriptor, data[:allowed])

    monkeypatch.setattr(os, "write", short)
    outlet.write("first\n")
    assert outlet.drain(PATIENCE)
    outlet.write("second\n")
    outlet.end(PATIENCE)
    assert path.read_text(encoding="utf-8") == "fir\nsecond\n"


def test_the_log_of_the_broker_goes_this_way(tmp_path: Path, log_as_before: logging.Logger) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    configure(str(path), LogLevel.INFO)
    begun = time.monotonic()
    for _ in range(5000):
        component("access").info("Connection accepted", cn="x" * 1000)
    assert time.monotonic() - begun < PATIENCE
    assert not drain(0.01)
    os.close(reader)
    assert drain(PATIENCE)
    for handler in log_as_before.handlers:
        handler.close()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_file_that_was_moved_or_removed_is_made_anew(tmp_path: Path) -> None:
    path, clock = tmp_path / "log", Clock()
    file = LogFile(path, clock)
    path.chmod(0o640)
    outlet = Outlet(file, owned=True)

    def say(text: str) -> None:
        outlet.write(f"{text}\n")
        assert outlet.drain(PATIENCE)

    say("first")
    path.rename(tmp_path / "log.1")
    say("within the second")
    clock.now = 1.0
    say("rotated")
    path.unlink()
    clock.now = 2.0
    say("removed")
    os.truncate(path, 0)
    clock.now = 3.0
    say("truncated")
    outlet.end(PATIENCE)
    assert (tmp_path / "log.1").read_text(encoding="utf-8") == "first\nwithin the second\n"
    assert path.read_text(encoding="utf-8") == "truncated\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_while_it_cannot_be_made_anew_the_old_file_takes_the_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, clock = tmp_path / "logs", Clock()
    folder.mkdir()
    outlet = Outlet(LogFile(folder / "log", clock), owned=True)
    outlet.write("first\n")
    assert outlet.drain(PATIENCE)
    folder.rename(tmp_path / "away")
    for second in range(1, 4):
        clock.now = float(second)
        outlet.write("later\n")
        assert outlet.drain(PATIENCE)
    assert (tmp_path / "away/log").read_text(encoding="utf-8") == "first\n" + "later\n" * 3
    folder.mkdir()
    clock.now = 5.0
    outlet.write("again\n")
    outlet.end(PATIENCE)
    assert (folder / "log").read_text(encoding="utf-8") == "again\n"
    assert capsys.readouterr().err == (
        f"Cannot open the log {folder}/log again: No such file or directory; its lines go to the old file\n"
    )


def test_a_device_that_is_always_full_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    outlet = Outlet(LogFile(Path("/dev/full")), owned=True)
    for number in range(100):
        outlet.write(f"{number}\n")
        assert outlet.drain(PATIENCE)
    outlet.end(PATIENCE)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_full_disk_costs_the_lines_that_found_no_room_and_no_others(
    tmp_path: Path, log_as_before: logging.Logger
) -> None:
    with mounted(tmp_path / "small", "64k") as disk:
        path = disk / "log"
        configure(str(path), LogLevel.INFO)
        filler = use_up(disk)
        dropped = Outlet.dropped_by_all
        for number in range(3000):
            component("x").info("line", number=number)
            if number % 100 == 0:
                assert drain(PATIENCE)
        assert drain(PATIENCE)
        lost = Outlet.dropped_by_all - dropped
        filler.unlink()
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        kept = path.read_text(encoding="utf-8").count("\n")
        assert lost + kept == 3000
        component("x").info("there is room again")
        assert drain(PATIENCE)
        again, told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line][kept:]
        assert again["msg"] == "there is room again"
        assert told["msg"] == "Log lines were dropped: No space left on device"
        assert told["lines"] == lost
        log_as_before.handlers[0].close()


def test_a_closed_reader_is_told_once_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        outlet = Outlet(stream)
        for _ in range(10):
            outlet.write("x\n")
            assert outlet.drain(PATIENCE)
        outlet.end(PATIENCE)
    assert capsys.readouterr().err.count("Broken pipe") == 1


def test_a_blocked_standard_error_does_not_hold_the_log_up(
    full_pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stream = full_pipe
    os.set_blocking(stream.fileno(), False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(stream.fileno(), b"x" * 4096)
    os.set_blocking(stream.fileno(), True)
    monkeypatch.setattr("sys.stderr", stream)
    outlet = Outlet(LogFile(Path("/dev/full")), owned=True)
    outlet.write("x\n")
    assert outlet.drain(PATIENCE)
    outlet.end(PATIENCE)
