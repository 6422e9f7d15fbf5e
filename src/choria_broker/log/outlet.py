"""Writing the log without ever waiting for whoever reads it: a full pipe or a slow disk must not hold up answers."""

from __future__ import annotations

import collections
import contextlib
import io
import logging
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

ROOM = 4 * 1024 * 1024
"""Bytes of lines that may wait to be written."""

_BATCH = 65_536
_GATHERING = 0.02
"""Seconds for which the first line waits for others: waking a thread for each costs more than writing it."""
_GATHERING_MANY = 0.1
"""The same while so many come that this saves something."""
_MANY = 3
"""Lines in a batch, after which the next one waits longer."""
_NEWLINE = 0x0A
_TOO_LATE = "they were not written in time"
_LOOK_EVERY = 1.0
"""Seconds between two looks whether the name of a log file still leads to it."""
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_log = logging.getLogger("choria_broker.log.structured")


class LogFile:
    """A file that is appended to, and opened anew when its name leads to another one, or to none.

    So it can be rotated by renaming, by copying and truncating, or be removed. While it cannot be opened anew, the one
    that was open takes the lines.

    Args:
        path: its name.
        clock: seconds, never going back.

    Raises:
        OSError: it cannot be opened.
    """

    encoding = "utf-8"

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Open it, and make it when it is missing."""
        self.name = str(path)
        self._clock = clock
        self._descriptor = os.open(path, _APPENDING, 0o666)
        self._looked = clock()
        self._failing = False

    def fileno(self) -> int:
        """Return the descriptor to write to next."""
        if self._clock() - self._looked >= _LOOK_EVERY:
            self._looked = self._clock()
            self._look()
        return self._descriptor

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _look(self) -> None:
        ours = os.fstat(self._descriptor)
        try:
            theirs = os.stat(self.name)  # noqa: PTH116 - beside its counterpart for descriptors
            if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
                return
        except FileNotFoundError:
            pass
        except OSError:
            return
        if not stat.S_ISREG(ours.st_mode):
            return  # Opening a pipe waits for a reader.
        try:
            opened = os.open(self.name, _APPENDING | os.O_NONBLOCK, stat.S_IMODE(ours.st_mode))
        except OSError as error:
            if not self._failing:
                self._failing = True
                _tell(f"Cannot open the log {self.name} again: {error.strerror}; its lines go to the old file")
            return
        self._failing = False
        os.close(self._descriptor)
        self._descriptor = opened


class Outlet(io.TextIOBase):
    """Takes lines at once and has a thread of its own write them, in their order, to a stream.

    Lines that find no room while nothing can be written are dropped and counted, and the log tells of them when it goes
    on. What cannot be written, for want of room on a disk for instance, is dropped too; standard error is told once.

    Args:
        stream: where to write; the outlet closes it only when told so.
        owned: the stream is closed with the outlet.
        room: bytes that may wait.
    """

    dropped_by_all = 0
    """Lines that the outlets of this process dropped."""

    def __init__(self, stream: TextIO | LogFile, *, owned: bool = False, room: int = ROOM) -> None:
        """Start with nothing written; the thread begins with the first line."""
        self._stream = stream
        self._owned = owned
        self._room = room
        self._encoding = stream.encoding or "utf-8"
        self._changed = threading.Condition()
        self._waiting: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._writing = False
        self._hurried = 0
        self._ending = False
        self._thread: threading.Thread | None = None
        self._untold = 0
        self._why = _TOO_LATE
        self._failing = False
        self._cut = False

    def write(self, text: str) -> int:
        """Take lines to be written; returns at once.

        Args:
            text: one or more whole lines.
        """
        data = text.encode(self._encoding, "backslashreplace")
        with self._changed:
            if self._size + len(data) > self._room or self._ending:
                self._drop(1)
                return len(text)
            self._waiting.append(data)
            full = self._size < _BATCH <= self._size + len(data)
            self._size += len(data)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
                self._thread.start()
            if not self._writing or full:
                self._changed.notify_all()  # A full batch waits for no others: there would be no room for them.
        return len(text)

    def flush(self) -> None:
        """Do nothing: see ``drain``."""

    def drain(self, patience: float) -> bool:
        """Wait until everything is written.

        Args:
            patience: seconds to wait.

        Returns:
            False when they were not enough.
        """
        end = time.monotonic() + patience
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            try:
                while self._waiting or self._writing:
                    left = end - time.monotonic()
                    if left <= 0:
                        return False
                    self._changed.wait(left)
            finally:
                self._hurried -= 1
        return True

    def end(self, patience: float) -> None:
        """Write what is left and stop.

        Args:
            patience: seconds that may take; what is not written then is lost.
        """
        done = self.drain(patience)
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._owned and done:
            with contextlib.suppress(OSError):
                self._stream.close()

    def _drop(self, lines: int) -> None:
        self._untold += lines
        Outlet.dropped_by_all += lines

    def _write_all(self) -> None:
        gathering = _GATHERING
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                while not self._waiting and not self._ending:
                    self._changed.wait()
                if not self._waiting:
                    return
                self._writing = True
                if self._size < _BATCH and not self._hurried and not self._ending:
                    self._changed.wait(gathering)
                batch = self._batch()
                gathering = _GATHERING_MANY if len(batch) >= _MANY else _GATHERING
            lost = self._put(b"".join(batch))
            with self._changed:
                self._drop(lost)
                # The notice itself needs room.
                tell = not lost and self._size < self._room // 2
                missing, self._untold = (self._untold, 0) if tell else (0, self._untold)
            if missing:
                _log.warning(f"Log lines were dropped: {self._why}", extra={"lines": missing})
                self._why = _TOO_LATE

    def _batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._waiting and size < _BATCH:
            line = self._waiting.popleft()
            size += len(line)
            batch.append(line)
        self._size -= size
        return batch

    def _put(self, data: bytes) -> int:
        """Write, for as long as that takes; return how many lines could not be written."""
        rest = memoryview(b"\n" + data if self._cut else data)
        try:
            descriptor = _descriptor(self._stream)
            if descriptor is None:
                cast("TextIO", self._stream).write(str(rest, self._encoding))
                cast("TextIO", self._stream).flush()
                rest = rest[:0]
            while rest:
                written = os.write(cast("int", descriptor), rest)
                self._cut = rest[written - 1] != _NEWLINE
                rest = rest[written:]
        except (OSError, ValueError) as error:
            self._why = (isinstance(error, OSError) and error.strerror) or str(error)
            if not self._failing:
                self._failing = True
                _complain(self._stream, self._why)
            return bytes(rest).count(_NEWLINE)
        self._failing = False
        return 0


def _descriptor(stream: TextIO | LogFile) -> int | None:
    """Return the descriptor of a stream, None when it has none, as some of tests."""
    try:
        return stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None


def _complain(stream: TextIO | LogFile, why: str) -> None:
    """Tell standard error, where that is another stream, why there will be no more lines for a while."""
    if stream is not sys.stderr:
        name = getattr(stream, "name", "the log")
        _tell(f"Cannot write the log to {name}: {why}; log lines are dropped until it can be written again")


def _tell(text: str) -> None:
    """Write a line to standard error, unless that is closed, or nobody reads what is there already."""
    stream = sys.stderr
    with contextlib.suppress(OSError, ValueError):
        descriptor = None if stream is None else _descriptor(stream)
        if descriptor is not None:
            waiting = select.poll()
            waiting.register(descriptor, select.POLLOUT)
            if not waiting.poll(0):
                return
        if stream is not None:
            stream.write(f"{text}\n")
            stream.flush()


class OutletHandler(logging.StreamHandler[Outlet]):
    """Logs to an outlet, and ends it when it is closed."""

    patience = 1.0
    """Seconds that the last lines may take to be written."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of the standard library
        """Write that a line cannot be written, in place of the traceback that the standard library has for that."""
        error = sys.exc_info()[0]
        if record.name != _log.name:
            name = error.__name__ if error else "unknown"
            _log.warning("A log line cannot be written", extra={"logger": record.name, "why": name})

    def close(self) -> None:
        """Write what is left, within bounds."""
        self.stream.end(self.patience)
        super().close()
