"""Adds a line to a file that others keep too: whole or not at all, and with everything else as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from choria_broker.host.private_file import EVERYBODY_READS, replace_file


def append_line(path: Path, line: Callable[[bytes], str]) -> Path:
    """Add a line at the end of a file; the new file takes the place of the old one, whose mode and owner it has.

    Args:
        path: the file. A symbolic link stays one, what it points to is replaced. A file that is not there is made, and
            everybody may read it.
        line: makes the line, without its end, of the content so far; empty for none. It may raise, and then nothing
            is changed.

    Returns:
        The file that was written.

    Raises:
        OSError: it cannot be read or written; it is as it was.
    """
    target = path.resolve()
    with _alone(target.parent):
        try:
            content, mode = target.read_bytes(), stat.S_IMODE(target.stat().st_mode)
        except FileNotFoundError:
            content, mode = b"", EVERYBODY_READS
        if added := line(content):
            begin = content if not content or content.endswith(b"\n") else content + b"\n"
            replace_file(target, begin + added.encode() + b"\n", mode=mode, keep_owner=True)
    return target


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep others away who do the same in this directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
