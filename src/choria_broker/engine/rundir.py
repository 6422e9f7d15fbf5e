"""The broker's private directory, where the engine's configuration lies."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

import psutil

_PREFIX = "choria-broker-run-"


class RunDirectory:
    """A directory of mode 0700 that only this broker uses; under systemd it lies in the unit's runtime directory.

    Use as a context manager; it is removed on exit.
    """

    def __init__(self) -> None:
        """Create the directory.

        Raises:
            OSError: it could not be created.
        """
        # systemd may give several directories, separated by colons; the first is the unit's own.
        base = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or None
        _remove_left_behind(Path(base or tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base))

    def __enter__(self) -> Self:
        """Return the directory."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the directory and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name: str, text: str) -> Path:
        """Write a file of mode 0600 as a whole: readers see the old content or the new, never a part.

        The previous content is kept beside it with the ending ``.last``.

        Returns:
            Path of the file.

        Raises:
            OSError: the file could not be written.
        """
        target = self.path / name
        temporary = self.path / f"{name}.new"
        temporary.unlink(missing_ok=True)  # Left by an attempt for which there was no room.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            target.replace(self.path / f"{name}.last")
        temporary.replace(target)
        return target


def _remove_left_behind(base: Path) -> None:
    """Remove the directories of this user's brokers that were killed: passwords may lie there."""
    for path in base.glob(f"{_PREFIX}*-*"):
        process = path.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            owned = path.lstat().st_uid == os.getuid() and not path.is_symlink()
            if owned and process.isdecimal() and not psutil.pid_exists(int(process)):
                shutil.rmtree(path, ignore_errors=True)
