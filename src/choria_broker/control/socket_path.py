"""Where the control socket of a broker lies: a place of its own for each configuration file and user."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from choria_broker.errors import ConfigurationError
from choria_broker.host.succession import Succession
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding, Origin

SOCKET = "control"
"""Name of the socket in its directory."""

_LOCK = "lock"
_PLACE = "control place"
"""Name of the lock where it is left to the next program."""

_ROOT_BASE = Path("/run/choria-broker")
_ROOT = 0
_ATTEMPTS = 10
_FULL = (errno.ENOSPC, errno.EDQUOT)
_STRANGE = "there is a file at this path that does not belong to the broker's user"


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
    if personal and _belongs_to(Path(personal), uid):
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


def owner(socket: Path) -> int:
    """Return the user whose broker has its socket here, as the name of the directory says.

    Raises:
        PermissionError: the name says nothing of that kind.
    """
    uid = socket.parent.name.rpartition(".")[2]
    if not (uid.isascii() and uid.isdecimal()):
        raise PermissionError(errno.EPERM, "the directory's name does not end in a user id", str(socket))
    return int(uid)


def place(source: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return the directory that this user's broker on a configuration file would take.

    Args:
        source: the configuration file.
        environ: variables to use instead of those of the process.
    """
    uid = os.geteuid()
    base = next(iter(bases(uid, os.environ if environ is None else environ)))
    return base / directory_name(source, uid)


def place_findings(source: Path, directory: Path) -> tuple[Finding, ...]:
    """Say why a broker could not take a directory, as far as that is known without making it.

    Args:
        source: the configuration file.
        directory: the one it would take.
    """
    if os.path.lexists(directory):
        error = "" if _belongs_to(directory, os.geteuid()) else _STRANGE
    else:
        there = next(each for each in directory.absolute().parents if each.exists())
        usable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        error = "" if usable else f"this user cannot make a directory in {there}"
    return (_no_place(source, directory, error),) if error else ()


@contextlib.contextmanager
def claim(
    source: Path, environ: Mapping[str, str] | None = None, succession: Succession | None = None
) -> Iterator[Path]:
    """Take the place of this user's broker on a configuration file, as long as the context lasts.

    Args:
        source: the configuration file.
        environ: variables to use instead of those of the process.
        succession: has the place that the program before had, and takes it over when this one leaves.

    Yields:
        Path for the socket; nothing is there, unless the program before had the place. What an earlier broker left
        behind is cleared away.

    Raises:
        ConfigurationError: another broker has the place, or no such place can be made.
    """
    directory = place(source, environ)
    succession = succession or Succession()
    inherited = succession.inherited(_PLACE)
    try:
        lock = _lock(directory, source) if inherited is None else inherited
    except OSError as error:
        full = error.errno in _FULL
        raise ConfigurationError((_no_place(source, directory, error.strerror or str(error), full=full),)) from error
    try:
        socket = directory / SOCKET
        if inherited is None:
            socket.unlink(missing_ok=True)
        yield socket
    finally:
        if succession.leaving:
            succession.bequeath(_PLACE, lock)
        else:
            _clear(directory)
        # The lock is held until the files are gone, so nobody else's are removed.
        os.close(lock)


def _clear(directory: Path) -> None:
    for name in (SOCKET, _LOCK):
        (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


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


def _lock(directory: Path, source: Path) -> int:
    """Make the directory and lock it; the kernel ends the lock with the process, however that ends."""
    path = directory / _LOCK
    for _ in range(_ATTEMPTS):
        _make_private(directory)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            continue  # The broker before is just removing the directory.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            problem = f"another broker runs with this configuration, process {pid}"
            remedy = "stop it first, or give each broker its own configuration file"
            raise ConfigurationError((_refusal(Code.ALREADY_RUNNING, problem, remedy, source),)) from None
        if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            return descriptor
        os.close(descriptor)  # The broker before removed the file in between.
    raise OSError(f"{path} keeps changing")


def _make_private(directory: Path) -> None:
    directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    if not _belongs_to(directory, os.geteuid()):
        raise PermissionError(0, _STRANGE)
    directory.chmod(0o700)


def _belongs_to(directory: Path, uid: int) -> bool:
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


def _no_place(source: Path, directory: Path, why: str, *, full: bool = False) -> Finding:
    problem = f"cannot create the directory of the control socket at {directory}: {why}"
    elsewhere = "set RUNTIME_DIRECTORY in the environment to a directory that the broker's user may write to"
    remedy = f"make room there, or {elsewhere}" if full else elsewhere
    return _refusal(Code.CONTROL_PLACE, problem, remedy, source)


def _refusal(code: Code, problem: str, remedy: str, source: Path) -> Finding:
    return Finding(
        severity=Severity.REFUSE,
        code=code,
        problem=problem,
        remedy=remedy,
        origin=Origin(str(source)),
    )
