"""Holds on to the files of all streams while the engine restores them.

An engine that cannot restore a stream, for want of room on the disk for example, deletes the stream's directory. So
every file gets a second name (a hard link, which costs no room) in the store before the engine starts. Once the engine
is ready these names go away again, but for those of streams whose directory has vanished.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from choria_broker.streams.trouble import Trouble, cut_short, deleted

KEPT = "kept"
"""Directory in the store with the files of streams that the engine deleted."""

_PENDING = ".restoring"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_BLOCK = ".blk"


def engine_directory(store: Path) -> Path:
    """Return the directory the engine makes in a store."""
    return store / "jetstream"


def stream_directories(store: Path) -> Iterator[tuple[str, str, Path]]:
    """Give account, name and directory of each stream in a store, as far as they can be listed."""
    for account in _directories(engine_directory(store)):
        for stream in _directories(account / "streams"):
            if not stream.name.startswith("."):
                yield account.name, stream.name, stream


def for_want_of_room(error: OSError) -> bool:
    """Tell whether an error comes from a full file system or a quota."""
    return error.errno in _NO_ROOM


class Safekeeping:
    """The second names of the files in one store.

    Args:
        store: the directory of the settings.
        now: gives the time, for the names of what is kept.
    """

    def __init__(self, store: Path, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        """Touch nothing yet."""
        self._store = store
        self._now = now
        self._sizes: dict[tuple[str, str], dict[str, int]] = {}

    @property
    def _pending(self) -> Path:
        return self._store / KEPT / _PENDING

    def lay_up(self) -> tuple[Trouble, ...]:
        """Give every file its second name.

        Returns:
            Streams that an earlier start lost, and whose files are kept now.

        Raises:
            OSError: there is no room for the names, see ``for_want_of_room``, or what an earlier start left cannot be
                put in order.
        """
        lost = self.settle()
        for account, stream, directory in stream_directories(self._store):
            try:
                self._sizes[account, stream] = _lay_up(directory, self._place(account, stream))
            except OSError as error:
                if for_want_of_room(error):
                    self._drop()
                    raise
                # Other users' files, and file systems without links: the engine cannot delete the former. Part of a
                # stream would be taken for the whole.
                shutil.rmtree(self._pending / account / stream, ignore_errors=True)
        return lost

    def _place(self, account: str, stream: str) -> Path:
        """Make the directory for a stream, and those above it, which show names to nobody else."""
        place = self._store
        for part in (KEPT, _PENDING, account, stream):
            place /= part
            place.mkdir(mode=0o700, exist_ok=True)
        return place

    def settle(self) -> tuple[Trouble, ...]:
        """Take the second names away, and keep the files of streams that are gone; tell what is lost or shorter.

        Raises:
            OSError: something cannot be kept in its place; the second names stay, and the next start tries again.
        """
        found = [*self._keep_what_is_gone(), *self._shortened()]
        self._drop()
        self._sizes.clear()
        return tuple(found)

    def _keep_what_is_gone(self) -> Iterator[Trouble]:
        for account in _directories(self._pending):
            for stream in _directories(account):
                original = engine_directory(self._store) / account.name / "streams" / stream.name
                if not original.exists():
                    # Straight into the directory that is there: a full disk may have no room for another one.
                    place = self._store / KEPT / f"{account.name}.{stream.name}.{self._now():%Y%m%dT%H%M%S.%f}"
                    stream.rename(place)
                    yield deleted(account.name, stream.name, str(place))

    def _shortened(self) -> Iterator[Trouble]:
        for (account, stream), sizes in self._sizes.items():
            lost = 0
            for path, size in sizes.items():
                with contextlib.suppress(OSError):  # Blocks of old messages go as a whole.
                    lost += max(0, size - os.stat(path).st_size)  # noqa: PTH116 - many files
            if lost:
                yield cut_short(account, stream, lost)

    def _drop(self) -> None:
        shutil.rmtree(self._pending, ignore_errors=True)
        with contextlib.suppress(OSError):
            (self._store / KEPT).rmdir()  # Only when nothing is kept.


def _lay_up(directory: Path, place: Path) -> dict[str, int]:
    """Give the files of a stream their second names, and return the sizes of its blocks by path."""
    sizes = {}
    for folder, _, names in os.walk(directory):
        copies = place / Path(folder).relative_to(directory)
        copies.mkdir(mode=0o700, exist_ok=True)
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - many files, and objects for paths are slow
            os.link(path, os.path.join(copies, name), follow_symlinks=False)  # noqa: PTH118
            if name.endswith(_BLOCK):
                sizes[path] = os.stat(path).st_size  # noqa: PTH116
    return sizes


def _directories(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:
        return []
