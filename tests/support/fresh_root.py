"""A system of its own to install packages on: what this machine has, as a layer that is only read, and no network."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ("unshare", "nsenter", "chroot", "ip", "mount", "dpkg", "dpkg-deb", "systemctl", "setpriv")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SETUP = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs none "$1/root/run"
mount -t tmpfs none "$1/root/tmp"
ip link set lo up
echo ready
exec sleep 900 > /dev/null
"""


class Root:
    """The system.

    Attributes:
        root: its ``/``, to be used by way of the process that holds its name space.
    """

    def __init__(self, folder: Path, first: int) -> None:
        """Take the folder that it is mounted on, and the id of its first process."""
        self._enter = ["nsenter", f"--target={first}", "--mount", "--net", "--pid"]
        self._seen = Path(f"/proc/{first}/root{folder}")
        self._folder = folder
        self.root = self._seen / "root"

    def command(self, *command: str) -> list[str]:
        """Return the command line that executes a command there."""
        return [
            *self._enter,
            "chroot",
            str(self._folder / "root"),
            "/usr/bin/env",
            "-i",
            "-C",
            "/",
            f"PATH={PATH}",
            *command,
        ]

    def run(self, *command: str, fails: bool = False) -> str:
        """Execute a command there and return what it wrote, which is shown when it does not end as it should."""
        done = subprocess.run(
            self.command(*command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert (done.returncode != 0) is fails, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def file(self, path: str) -> Path:
        """Return where a file of the system can be read and written from here."""
        return self.root / path.lstrip("/")

    def changes(self) -> set[str]:
        """Return files, links and empty folders that this machine lacks, but not those of its package managers."""
        found = set()
        changes = self._seen / "changes"
        for path in changes.rglob("*"):
            own = "/" + str(path.relative_to(changes))
            status = path.lstat()
            removed = stat.S_ISCHR(status.st_mode)
            filled = stat.S_ISDIR(status.st_mode) and any(path.iterdir())
            if not (removed or filled or os.path.lexists(own)):
                found.add(own)
        return {
            path
            for path in found
            if not path.startswith(("/var/lib/dpkg/", "/var/lib/rpm/", "/var/cache/", "/etc/.pwd"))
        }


@contextlib.contextmanager
def fresh_root(folder: Path) -> Iterator[Root]:
    """Have a system until the block ends; tests that cannot have one are skipped."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(
            f"a root of its own needs root, and on this machine there is no {', '.join(missing) or 'right to it'}"
        )
    command = ["unshare", "-mnpf", "--kill-child", "sh", "-c", _SETUP, "sh", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as outer:
        try:
            assert outer.stdout is not None
            if outer.stdout.readline() != "ready\n":
                pytest.skip("no name spaces, or no overlay of this machine's files: mount said why")
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text(encoding="ascii")
            yield Root(folder, int(children.split()[0]))
        finally:
            # It holds SIGTERM back while its child runs.
            outer.kill()
