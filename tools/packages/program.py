"""The program and its libraries as one directory, in the form of a virtual environment for several versions of Python.

Python belongs to the system, whose updates mend it and its OpenSSL. Libraries with compiled parts come as one wheel for
each version of Python; all else in these wheels is the same, and compiled parts carry the version in their names. So
they fit in one directory.
"""

from __future__ import annotations

import filecmp
import platform
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = ("3.13", "3.12", "3.11")
"""Versions of Python that the packed program runs with, the one it prefers first."""

HOME = "/usr/lib/choria-broker"
"""Where the directory is on the system that it is installed on."""

INSTALLERS = frozenset({"RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json"})
"""Files of an installed distribution that tell of the wheel it came from."""

_GLIBC = ("manylinux_2_28", "manylinux2014", "manylinux_2_17", "manylinux_2_12", "manylinux2010")


class MixedError(Exception):
    """Wheels of one library differ where they have to be the same."""


def lay_out(root: Path, *, wheel: Path, lock: Path, launcher: str, scratch: Path) -> None:
    """Put the program below a root.

    Args:
        root: the directory that becomes ``/`` of the system.
        wheel: the program's own wheel.
        lock: its libraries, pinned with hashes.
        launcher: text of the script that starts it, with ``@VERSIONS@`` where the versions of Python belong.
        scratch: an empty directory for what is on the way.

    Raises:
        MixedError: the wheels of a library differ in more than their compiled parts.
    """
    home = root / HOME.lstrip("/")
    packages = home / "lib" / "python3" / "site-packages"
    packages.mkdir(parents=True)
    for version in VERSIONS:
        _install(scratch / version, version, "--require-hashes", "-r", str(lock))
        merge(scratch / version, packages)
        (home / "lib" / f"python{version}").symlink_to("python3")
    _install(scratch / "own", VERSIONS[-1], str(wheel))
    merge(scratch / "own", packages)
    (home / "bin").mkdir()
    for version in VERSIONS:
        (home / "bin" / f"python{version}").symlink_to(f"/usr/bin/python{version}")
    program = home / "bin" / "choria-broker"
    program.write_text(launcher.replace("@VERSIONS@", " ".join(VERSIONS)), encoding="utf-8")
    program.chmod(0o755)
    # Python takes the links in bin for interpreters of a virtual environment because of this file.
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n", encoding="utf-8")


def merge(source: Path, target: Path) -> None:
    """Move installed libraries to others, of which some may be the same ones for another version of Python.

    Raises:
        MixedError: a file is in both, and differs.
    """
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        elif path.name in INSTALLERS and path.parent.suffix == ".dist-info":
            continue
        elif not place.exists():
            shutil.move(path, place)
        elif not filecmp.cmp(path, place, shallow=False):
            raise MixedError(f"{path.relative_to(source)} differs between wheels for two versions of Python")


def _install(target: Path, version: str, *what: str) -> None:
    """Install wheels for a version of Python that need not be there, into a directory."""
    machine = platform.machine()
    places = [f"--platform={each}_{machine}" for each in _GLIBC]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--only-binary=:all:"]
    command += ["--target", str(target), "--implementation=cp", f"--python-version={version}", *places, *what]
    subprocess.run(command, check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)
