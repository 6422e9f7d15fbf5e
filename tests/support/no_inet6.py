"""Runs a program as on a kernel without IPv6: ``python no_inet6.py PROGRAM ARGUMENTS``.

A seccomp filter, which the program's children inherit, fails every attempt to make an IPv6 socket.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys

_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""For each machine its number in the audit, and the number of the system call ``socket``."""
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _BY_FILTER = 38, 22, 2
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_CALL, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in what the filter looks at."""


def forget_ipv6() -> None:
    """Fail IPv6 sockets with EAFNOSUPPORT from now on, in this process and its children.

    Raises:
        OSError: this machine does not have such filters.
    """
    try:
        machine, call = _MACHINES[os.uname().machine]
    except KeyError:
        raise OSError(errno.ENOSYS, "no filter for this kind of machine") from None
    steps = (
        (_LOAD, 0, 0, _MACHINE),
        (_IF_EQUAL, 0, 5, machine),
        (_LOAD, 0, 0, _CALL),
        (_IF_EQUAL, 0, 3, call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 0, 1, socket.AF_INET6),
        (_RETURN, 0, 0, _FAIL | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _BY_FILTER, program, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "no seccomp filter can be set")


if __name__ == "__main__":
    forget_ipv6()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - a test's own program
