"""The place of a broker's control socket, taken as long as the broker runs: one broker for each configuration file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from choria_broker.control.socket_path import SOCKET, bases, belongs_to, directory_name
from choria_broker.errors import ConfigurationError
from choria_broker.host.succession import Succession
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import Finding, Origin

_LOCK = "lock"
_PLACE = "control place"
"""Name of the lock where it is left to the next program."""

_ATTEMPTS = 10
_FULL = (errno.ENOSPC, errno.EDQUOT)
_STRANGE = "there is a file at this path that does not belong to the broker's user"


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
        error = "" if belongs_to(directory, os.geteuid()) else _STRANGE
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
    if not belongs_to(directory, os.geteuid()):
        raise PermissionError(0, _STRANGE)
    directory.chmod(0o700)


def _no_place(source: Path, directory: Path, why: str, *, full: bool = False) -> Finding:
    problem = f"cannot create the directory of the control socket at {directory}: {why}"
    elsewhere = "set RUNTIME_DIRECTORY in the environment to a directory that the broker's user may write to"
    remedy = f"free space there, or {elsewhere}" if full else elsewhere
    return _refusal(Code.CONTROL_PLACE, problem, remedy, source)


def _refusal(code: Code, problem: str, remedy: str, source: Path) -> Finding:
    return Finding(
        severity=Severity.REFUSE,
        code=code,
        problem=problem,
        remedy=remedy,
        origin=Origin(str(source)),
    )
