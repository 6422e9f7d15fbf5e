"""Writing files that are this user's alone, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

OWNER_ONLY = 0o600
"""Permission bits of a file for this user only."""

EVERYBODY_READS = 0o644
"""Permission bits of a file that others may read."""


def open_new(path: Path) -> BinaryIO:
    """Open a file of mode 0600 for writing, where nothing is yet, not even a link.

    Raises:
        FileExistsError: something is there.
        OSError: it cannot be made.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb")


def create_file(path: Path, content: str | bytes, *, mode: int = OWNER_ONLY) -> None:
    """Write a file where nothing is yet; what cannot be written whole is removed again.

    Args:
        path: the file.
        content: its whole content; a text is written as UTF-8.
        mode: its permission bits.

    Raises:
        FileExistsError: something is there.
        OSError: it cannot be written.
    """
    with open_new(path) as file:
        try:
            _fill(file, content.encode() if isinstance(content, str) else content, mode)
        except BaseException:
            path.unlink()
            raise


def replace_file(path: Path, content: str | bytes, *, mode: int = OWNER_ONLY, keep_owner: bool = False) -> None:
    """Write a file anew: it is the old one or the new one at any moment, and links to other places are not followed.

    Args:
        path: the file.
        content: its whole content; a text is written as UTF-8.
        mode: its permission bits.
        keep_owner: leave it to the user and group it belongs to, as far as this user may.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if keep_owner:
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    before = path.stat()
                    os.chown(descriptor, before.st_uid, before.st_gid)
            _fill(file, content.encode() if isinstance(content, str) else content, mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _fill(file: BinaryIO, content: bytes, mode: int) -> None:
    os.fchmod(file.fileno(), mode)
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
