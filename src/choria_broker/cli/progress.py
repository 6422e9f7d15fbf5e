"""One line on a terminal that tells how far long work is, and nothing anywhere else."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from choria_broker.wording import plain

_TICK = 0.5
_CLEAR = "\r\x1b[K"
_LONGEST = 100


class Line:
    """The line; where standard error is no terminal, nothing is written."""

    def __init__(self, what: str) -> None:
        """Begin with what is being done."""
        self._what = what
        self._began = time.monotonic()
        self._shown = sys.stderr.isatty()
        self._writing = threading.Lock()

    def say(self, what: str) -> None:
        """Tell something else from now on."""
        self._what = what
        self.write()

    def write(self) -> None:
        """Write it anew."""
        if self._shown:
            with self._writing:
                text = plain(self._what)[:_LONGEST]
                sys.stderr.write(f"{_CLEAR}{text} ... {time.monotonic() - self._began:.0f} s")
                sys.stderr.flush()

    def clear(self) -> None:
        """Take it away, so that what is printed next stands in its place."""
        if self._shown:
            with self._writing:
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()


@contextlib.contextmanager
def progress(what: str) -> Iterator[Line]:
    """Show, as long as the context lasts, what is being done and for how long.

    Args:
        what: is being done, such as ``Asking the other members``.
    """
    line, over = Line(what), threading.Event()

    def go_on() -> None:
        while not over.wait(_TICK):
            line.write()

    line.write()
    ticking = threading.Thread(target=go_on, name="progress", daemon=True)
    ticking.start()
    try:
        yield line
    finally:
        over.set()
        ticking.join()
        line.clear()
