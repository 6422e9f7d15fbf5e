"""The broker's private directory, where the engine's configuration lies, and the sockets that the two share."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Self

import msgspec

from choria_broker.host.private_file import replace_file
from choria_broker.host.processes import exists

_PREFIX = "choria-broker-run-"
_BACKLOG = 256


class Private(msgspec.Struct, frozen=True):
    """A listening socket to which only the broker's user gets.

    Attributes:
        listener: the socket, for the engine to inherit; None once it has.
        address: where to connect to, in this process and until the directory is removed.
    """

    listener: socket.socket | None
    address: str


class RunDirectory:
    """A directory of mode 0700 that only this broker uses; under systemd it lies in the unit's runtime directory.

    Use as a context manager; it is removed on exit.

    Attributes:
        path: where it is.
        kept: leave it where it is on exit.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Create the directory, or take over one that this process had before its program was replaced.

        Args:
            path: of the one to take over.

        Raises:
            OSError: it could not be created.
        """
        self.kept = False
        if path:
            self.path = path
            self._descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
            return
        # systemd may give several directories, separated by colons; the first is the unit's own.
        base = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or None
        _remove_left_behind(Path(base or tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base))
        self._descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)

    def __enter__(self) -> Self:
        """Return the directory."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the directory and what is in it."""
        os.close(self._descriptor)
        if self.kept:
            return
        shutil.rmtree(self.path, ignore_errors=True)

    def listen(self, name: str) -> Private:
        """Open a listening Unix socket in the directory.

        Raises:
            OSError: it cannot be opened.
        """
        address = self._address(name)
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        return Private(listener, address)

    def taken_over(self, name: str) -> Private:
        """Return a socket that the engine has already."""
        return Private(None, self._address(name))

    def _address(self, name: str) -> str:
        # ``bind`` and ``connect`` take 107 bytes at most, which the path may exceed.
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def write(self, name: str, text: str) -> Path:
        """Write a file of mode 0600 as a whole: readers see the old content or the new, never a part.

        The previous content is kept beside it with the ending ``.last``.

        Returns:
            Path of the file.

        Raises:
            OSError: the file could not be written.
        """
        target = self.path / name
        try:
            if target.exists():
                last = self.path / f"{name}.last"
                last.unlink(missing_ok=True)
                last.hardlink_to(target)
            replace_file(target, text)
        except OSError as error:
            # A disk that is full does not say of which file that is.
            raise OSError(error.errno, error.strerror, str(target)) from error
        return target


def _remove_left_behind(base: Path) -> None:
    """Remove the directories of this user's brokers that were killed: passwords may lie there."""
    for path in base.glob(f"{_PREFIX}*-*"):
        process = path.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            owned = path.lstat().st_uid == os.getuid() and not path.is_symlink()
            if owned and process.isdecimal() and not exists(int(process)):
                shutil.rmtree(path, ignore_errors=True)
