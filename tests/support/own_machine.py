"""Programs that see a name server and a hosts file of their own, as if they ran on another machine."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

NAME_SERVER = f"127.77.{os.getpid() // 256 % 256}.{os.getpid() % 256}"
"""An address of loopback for this process alone: name servers have no choice of ports."""

_PRIVATE_FILES = 'mount --bind "$0" /etc/resolv.conf && mount --bind "$1" /etc/hosts && shift && exec "$@"'
_UNSHARE = ("unshare", "--mount", "sh", "-c", _PRIVATE_FILES)


def possible() -> None:
    """Skip a test where a process cannot be given files of its own, or a name server cannot be in them."""
    try:
        subprocess.run([*_UNSHARE, "/etc/hosts", "/etc/hosts", "true"], check=True, capture_output=True, timeout=10)  # noqa: S603 - fixed words
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((NAME_SERVER, 53))
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"needs mount namespaces and port 53 of loopback: {error}")


def on_own_machine(folder: Path, hosts: str) -> tuple[str | Path, ...]:
    """Return what begins a command whose program asks ``NAME_SERVER``, and sees a hosts file with this text.

    Args:
        folder: where its files are written.
        hosts: text of its ``/etc/hosts``.
    """
    (folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n", encoding="ascii")
    (folder / "hosts").write_text(hosts, encoding="ascii")
    return (*_UNSHARE, folder / "resolv.conf", folder / "hosts")
