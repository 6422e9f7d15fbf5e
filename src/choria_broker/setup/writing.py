"""Writes the files of a set-up: all of them or none, and nothing that is there is touched."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

from choria_broker.host.private_file import EVERYBODY_READS, OWNER_ONLY, create_file
from choria_broker.setup.plan import NewFile

_PRIVATE_FOLDER, _FOLDER = 0o700, 0o755


def first_in_the_way(files: Sequence[NewFile]) -> Path | None:
    """Return the first file of a set-up that is there already, also as a link to nothing."""
    return next((each.path for each in files if os.path.lexists(each.path)), None)


def closed_for(folder: Path, user: int, group: int) -> Path | None:
    """Return the first directory on the way to a folder, itself included, that a user cannot pass; None when it can.

    Args:
        folder: an absolute path; what is not there yet will be open.
        user: number of the user.
        group: number of its group.
    """
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            return None
        told = each.stat()
        bit = stat.S_IXUSR if told.st_uid == user else stat.S_IXGRP if told.st_gid == group else stat.S_IXOTH
        if not told.st_mode & bit:
            return each
    return None


class Written:
    """What was written so far.

    Attributes:
        owner: user and group of the broker, for its private files; None leaves them to this user.
    """

    def __init__(self, owner: tuple[int, int] | None) -> None:
        """Begin with nothing."""
        self.owner = owner
        self._files: list[Path] = []
        self._folders: list[Path] = []

    def write(self, files: Sequence[NewFile], private: Collection[Path]) -> None:
        """Write files where nothing is yet; what cannot be finished is taken back.

        Args:
            files: what to write.
            private: folders that only this user may look into; others may pass through the rest.

        Raises:
            OSError: one cannot be written.
        """
        try:
            for each in files:
                self._make(each.path.parent, _PRIVATE_FOLDER if each.path.parent in private else _FOLDER)
                create_file(each.path, each.content, mode=OWNER_ONLY if each.private else EVERYBODY_READS)
                self._files.append(each.path)
                if each.of_broker and self.owner:
                    os.chown(each.path, *self.owner)
        except BaseException:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Remove everything that was written."""
        for file in reversed(self._files):
            file.unlink(missing_ok=True)
        for folder in reversed(self._folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        self._files, self._folders = [], []

    def _make(self, folder: Path, mode: int) -> None:
        if folder.exists():
            return
        if not folder.parent.exists():
            self._make(folder.parent, _FOLDER)
        folder.mkdir(mode=mode)
        folder.chmod(mode)
        self._folders.append(folder)
