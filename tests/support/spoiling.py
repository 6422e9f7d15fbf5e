"""What happens to files that a configuration names."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path

from support.testbed import Authority


def cut(path: Path, _authority: Authority) -> None:
    """Lose the second half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def gone(path: Path, _authority: Authority) -> None:
    """Vanish."""
    path.unlink()


def directory(path: Path, _authority: Authority) -> None:
    """Become a directory."""
    path.unlink()
    path.mkdir()


def empty(path: Path, _authority: Authority) -> None:
    """Lose everything."""
    path.write_bytes(b"")


def pipe(path: Path, _authority: Authority) -> None:
    """Become a pipe, which has no end."""
    path.unlink()
    os.mkfifo(path)


def of_another(path: Path, authority: Authority) -> None:
    """Become the certificate or the key of another."""
    other = authority.issue("other.example.net")
    shutil.copy(other.key if path.suffix == ".key" else other.certificate, path)


def expired(path: Path, authority: Authority) -> None:
    """Become a certificate that has expired, with its key."""
    authority.issue(path.stem, "127.0.0.1", until=dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
