"""Who is at the other end of a local socket, as the kernel says."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from typing import Protocol

import msgspec

_CREDENTIALS = struct.Struct("3i")
_ROOT = 0


class _Socket(Protocol):
    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


class Peer(msgspec.Struct, frozen=True):
    """Who asks.

    Attributes:
        uid: user id.
    """

    uid: int

    def __str__(self) -> str:
        """Write the user's name and number. A directory service may be asked for the name: call it in a thread."""
        try:
            return f"{pwd.getpwuid(self.uid).pw_name} (uid {self.uid})"
        except KeyError:
            return f"uid {self.uid}"


def uid_of_peer(sock: _Socket) -> int:
    """Return the user id of the process at the other end.

    Raises:
        OSError: the kernel does not tell.
    """
    return _credentials(sock)[1]


def pid_of_peer(sock: _Socket) -> int:
    """Return the id of the process that listens at the other end, 0 where that is one of another name space.

    Raises:
        OSError: the kernel does not tell.
    """
    return _credentials(sock)[0]


def _credentials(sock: _Socket) -> tuple[int, int]:
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return int(pid), int(uid)


def trusted(uid: int) -> bool:
    """Tell whether a user may be at the other end: the own one, and root."""
    return uid in {os.geteuid(), _ROOT}
