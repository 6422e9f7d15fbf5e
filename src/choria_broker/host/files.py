"""Reads files, and the store of an operator, as facts for decisions."""

from __future__ import annotations

import contextlib
import os
import select
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from choria_broker.host.facts import FileFact, Mark, StoreFact
from choria_broker.security.nats_tokens import LARGEST_TOKEN

_LARGEST_FILE = 16 * 1024 * 1024
_PIECE = 65_536
_TURN = 200
"""Milliseconds that are waited for a pipe before signals are heeded."""
_MOST_ACCOUNTS = 10_000
_MOST_CREDENTIALS = 100
"""For one account."""


def read_file(path: Path) -> FileFact:
    """Read a file, or a pipe to its end, or find out why that is not possible."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content = file.read(_LARGEST_FILE + 1) if regular else _to_the_end(file.fileno())
    except OSError as error:
        return FileFact(problem=words(error), missing=isinstance(error, FileNotFoundError))
    return _read(content, None)


def _to_the_end(pipe: int) -> bytes:
    """Read what somebody writes, however long he takes.

    A signal that comes just before one waits for him would not be heeded before he is done; so this waits in turns.
    """
    waiting, found = select.poll(), b""
    waiting.register(pipe, select.POLLIN)
    while len(found) <= _LARGEST_FILE:
        if not waiting.poll(_TURN):
            continue
        with contextlib.suppress(BlockingIOError):
            piece = os.read(pipe, _PIECE)
            if not piece:
                break
            found += piece
    return found


def read_named(path: Path) -> FileFact:
    """Read a file that the configuration names, which may be another by the next time.

    What is put in its place must not keep the broker waiting, as a pipe would.
    """
    mark = mark_of(path)  # Before anything else: what changes from now on shows at the next look.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return FileFact(problem=words(error), missing=isinstance(error, FileNotFoundError), mark=mark)
    try:
        found = os.fstat(descriptor)
        mark = _mark(found)
        if not stat.S_ISREG(found.st_mode):
            return FileFact(problem="is a directory" if stat.S_ISDIR(found.st_mode) else "not a file", mark=mark)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return _read(file.read(_LARGEST_FILE + 1), mark)
    except OSError as error:
        return FileFact(problem=words(error), mark=mark)
    finally:
        os.close(descriptor)


def _read(content: bytes, mark: Mark | None) -> FileFact:
    if len(content) > _LARGEST_FILE:
        return FileFact(problem="larger than 16 MiB", mark=mark)
    return FileFact(content, mark=mark)


def mark_of(path: Path) -> Mark | None:
    """Look at a file without reading it; None when there is none, or none that can be looked at."""
    try:
        return _mark(path.stat())
    except OSError:
        return None


def marks_of(paths: Iterable[Path]) -> dict[Path, Mark | None]:
    """Look at files without reading them."""
    return {path: mark_of(path) for path in paths}


def _mark(found: os.stat_result) -> Mark:
    return Mark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def words(error: OSError) -> str:
    """Return the operating system's words in lower case."""
    return (error.strerror or "cannot be read").lower()


def read_store(directory: Path) -> StoreFact:
    """Read the store of an operator as nsc lays it out, but for its users, and the broker's credentials files in it.

    Args:
        directory: of the store; the operator's token lies in it, in a file with the same name.
    """
    try:
        directory.stat()
        names = _names(directory / "accounts")
        users = _names(directory / "creds")
    except OSError as error:
        return StoreFact(directory, problem=f"{error.filename}: {words(error)}")
    if max(len(names), len(users)) > _MOST_ACCOUNTS:
        return StoreFact(directory, problem=f"{directory}: more than {_MOST_ACCOUNTS} accounts")
    operator = directory / f"{directory.name}.jwt"
    return StoreFact(
        directory,
        read_token_file(operator),
        {_told(name): read_token_file(directory / "accounts" / name / f"{name}.jwt") for name in names},
        {name: dict(_credentials(directory / "creds" / name)) for name in users},
        dict(_modes(directory, operator, directory / "accounts")),
    )


def read_token_file(path: Path) -> FileFact:
    """Read a file with a token: of an operator's store, or with credentials.

    What others put there must neither keep the broker waiting, as a pipe would, nor fill its memory: a byte more than
    a token may have tells that it is too large.
    """
    if _told(path.name) != path.name:
        return FileFact(problem="its name is not UTF-8")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return FileFact(problem=words(error), missing=isinstance(error, FileNotFoundError))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return FileFact(problem="not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return FileFact(file.read(LARGEST_TOKEN + 1))
    except OSError as error:
        return FileFact(problem=words(error))
    finally:
        os.close(descriptor)


def _modes(*paths: Path) -> Iterator[tuple[Path, int]]:
    """Find out the permission bits of files and directories, as far as they are there."""
    for path in paths:
        with contextlib.suppress(OSError):
            yield path, stat.S_IMODE(path.stat().st_mode)


def _told(name: str) -> str:
    """Return a name as text that can be shown; the bytes of one that is not UTF-8 are written out."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _names(directory: Path) -> list[str]:
    """List the directories in a directory, none when it is not there."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []


def _credentials(directory: Path) -> Iterator[tuple[Path, FileFact]]:
    """Read the credentials files of an account, in the order of their names."""
    try:
        files = sorted(path for path in directory.iterdir() if path.suffix == ".creds")
    except OSError as error:
        yield directory, FileFact(problem=words(error))
        return
    for path in files[:_MOST_CREDENTIALS]:
        yield path.with_name(_told(path.name)), read_token_file(path)
