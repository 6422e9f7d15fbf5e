"""Where the control socket of a broker lies: a place of its own for each configuration file and user."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

SOCKET = "control"
"""Name of the socket in its directory."""

_ROOT_BASE = Path("/run/choria-broker")
_ROOT = 0


def bases(uid: int, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """List the directories in which a user's broker may have its place, the preferred one first.

    The service manager's runtime directory comes first, then the user's own. Root's broker is found where a service
    unit with ``RuntimeDirectory=choria-broker`` has its place too.
    """
    found = []
    if given := environ.get("RUNTIME_DIRECTORY", "").split(":")[0]:
        found.append(Path(given))
    personal = environ.get("XDG_RUNTIME_DIR", "")
    # Changing the user often leaves the variable of the user before.
    if personal and belongs_to(Path(personal), uid):
        found.append(Path(personal))
    if uid == _ROOT:
        found.append(_ROOT_BASE)
    return (*found, Path(tempfile.gettempdir()))


def directory_name(source: Path, uid: int) -> str:
    """Name the directory of the broker that a user runs on a configuration file."""
    digest = hashlib.sha256(os.fsencode(os.path.abspath(source))).hexdigest()  # noqa: PTH100 - takes out ".." too
    return f"choria-broker-{digest[:16]}.{uid}"


def candidates(source: Path, uid: int, environ: Mapping[str, str]) -> Iterator[Path]:
    """List the sockets at which a broker on a configuration file may be found, the most likely first.

    Root looks for the brokers of other users as well, though only where not everybody can make directories. Whoever
    connects to one of them uses ``belonging``, for some of these places anybody may have made.
    """
    own = directory_name(source, uid)
    yield from dict.fromkeys(base / own / SOCKET for base in (*bases(uid, environ), _ROOT_BASE))
    if uid == _ROOT:
        given = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        pattern = f"{own.rpartition('.')[0]}.*"
        for base in dict.fromkeys((Path(given or _ROOT_BASE), _ROOT_BASE)):
            if not _open_to_all(base):
                yield from (found / SOCKET for found in sorted(base.glob(pattern)) if found.name != own)


def others(source: Path, uid: int, environ: Mapping[str, str]) -> tuple[int, ...]:
    """Tell which other users have a place for a broker on a configuration file, as far as that can be seen.

    Where everybody can make directories nobody is believed, and root may ask everybody.

    Args:
        source: the configuration file.
        uid: the user who looks.
        environ: variables of its process.
    """
    if uid == _ROOT:
        return ()
    pattern = f"{directory_name(source, uid).rpartition('.')[0]}.*"
    found = set()
    for base in dict.fromkeys((*bases(uid, environ), _ROOT_BASE)):
        for directory in () if _open_to_all(base) else base.glob(pattern):
            with contextlib.suppress(PermissionError):
                if (other := owner(directory / SOCKET)) != uid and belongs_to(directory, other):
                    found.add(other)
    return tuple(sorted(found))


def owner(socket: Path) -> int:
    """Return the user whose broker has its socket here, as the name of the directory says.

    Raises:
        PermissionError: the name says nothing of that kind.
    """
    uid = socket.parent.name.rpartition(".")[2]
    if not (uid.isascii() and uid.isdecimal()):
        raise PermissionError(errno.EPERM, "the directory's name does not end in a user id", str(socket))
    return int(uid)


@contextlib.contextmanager
def reachable(socket: Path) -> Iterator[str]:
    """Name a socket for ``bind`` and ``connect``, which take 107 bytes at most, as long as the context lasts.

    Raises:
        OSError: its directory cannot be opened.
    """
    descriptor = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{descriptor}/{socket.name}"
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def belonging(socket: Path) -> Iterator[str]:
    """Name a socket for ``connect`` as ``reachable`` does, when nobody but its owner and root can have made it.

    What is checked is held open, so that nothing else can be put in its place afterwards.

    Raises:
        PermissionError: directory or socket are not of the user in the directory's name, or others may write there.
        OSError: they cannot be opened.
    """
    uid = owner(socket)
    with contextlib.ExitStack() as opened:
        directory = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        opened.callback(os.close, directory)
        found = os.fstat(directory)
        if found.st_uid != uid or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(errno.EPERM, f"not a directory that only user {uid} can write to", str(socket.parent))
        descriptor = os.open(socket.name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
        opened.callback(os.close, descriptor)
        found = os.fstat(descriptor)
        if found.st_uid != uid or not stat.S_ISSOCK(found.st_mode):
            raise PermissionError(errno.EPERM, f"not a socket of user {uid}", str(socket))
        yield f"/proc/self/fd/{descriptor}"


def belongs_to(directory: Path, uid: int) -> bool:
    """Tell whether something is a directory of a user."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid


def _open_to_all(directory: Path) -> bool:
    try:
        return bool(directory.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True
