"""A key process: a program that holds private keys of TLS, and signs for the engine. It reads nothing of strangers.

It has two sockets, both of which keep messages whole. On the first, which it shares with the other key processes, come
requests of the engine (``signing``). The second is the broker's:

======================== ========================================================================================
the broker says          meaning
======================== ========================================================================================
``+``, a number, a file  hold the key in this file, whose descriptor comes along; answered by ``+`` and the name
                         of the key, or ``-`` and why not
``-``, a number          forget that key; answered by ``+``
``!``                    begin to sign; not answered
======================== ========================================================================================

The end of the broker's socket ends the process at once. Other processes of the same user cannot look into it, and it
leaves no core.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import resource
import signal
import socket
import sys
import time

from choria_broker.engine.outside.signing import LONGEST, PrivateKey, RequestError, answer, load_key

VERSION = "1"
"""Version of what the broker and the program say to each other; a broker may start the program of a later release."""

NUMBER = 8
"""Bytes of the number of a key."""

HOLD, FORGET, BEGIN = b"+", b"-", b"!"
DONE, REFUSED = b"+", b"-"

LARGEST_KEY = 1 << 20
"""Bytes of a file with a key."""

_SET_DUMPABLE, _SET_NAME = 4, 15
_NAME = b"choria-key"


class Keys:
    """The keys of a process.

    Attributes:
        by_name: those that sign now; replaced as a whole, since another thread reads it.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self.by_name: dict[bytes, PrivateKey] = {}
        self._numbered: dict[bytes, tuple[bytes, PrivateKey]] = {}

    def told(self, message: bytes, content: bytes) -> bytes:
        """Do what the broker says, and return the answer.

        Args:
            message: of the broker; not to begin.
            content: of the file that came with it.
        """
        order, number = message[:1], message[1:]
        if order == HOLD:
            try:
                name, key = load_key(content)
            except RequestError as error:
                return REFUSED + str(error).encode()
            self._numbered[number] = (name, key)
            self.by_name = dict(self._numbered.values())
            return DONE + name
        if order == FORGET:
            self._numbered.pop(number, None)
            self.by_name = dict(self._numbered.values())
            return DONE
        return REFUSED + b"unknown order"


def serve(requests: socket.socket, broker: socket.socket, keys: Keys) -> None:
    """Be told keys until it is time to begin, then sign until the engine has gone.

    Args:
        requests: of the engine.
        broker: tells which keys there are.
        keys: filled.
    """
    while (message := _take(broker, keys)) != BEGIN:
        if not message:
            return
    _thread.start_new_thread(_follow, (broker, keys))
    while request := requests.recv(LONGEST):
        if signed := answer(keys.by_name, request, time.time()):
            requests.send(signed)


def _take(broker: socket.socket, keys: Keys) -> bytes:
    """Do the next thing that the broker says, and return that; empty at its end."""
    message, files, _, _ = socket.recv_fds(broker, 1 + NUMBER, 1)
    content = b""
    for file in files:
        content = os.pread(file, LARGEST_KEY, 0)
        os.close(file)
    if message and message != BEGIN:
        broker.send(keys.told(message, content))
    return message


def _follow(broker: socket.socket, keys: Keys) -> None:
    """Do what the broker says until its end, which is the end of the process."""
    try:
        while _take(broker, keys):
            pass
    finally:
        os._exit(0)


def withdraw() -> None:
    """Let nobody look into this process: no core is left, and processes of the same user cannot trace it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ImportError, OSError, MemoryError):  # A host may forbid what the library needs.
        import ctypes  # noqa: PLC0415 - as it says

        libc = ctypes.CDLL(None)
        libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_SET_NAME, _NAME, 0, 0, 0)


def main() -> None:
    """Run with version and both descriptors as arguments."""
    version, requests, broker = sys.argv[1:]
    if version != VERSION:
        sys.exit(f"the broker speaks version {version} with its key processes, this program version {VERSION}")
    withdraw()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # They are for the broker, whose end is the end of this.
    with contextlib.suppress(OSError):  # Nobody is there any more.
        serve(socket.socket(fileno=int(requests)), socket.socket(fileno=int(broker)), Keys())


if __name__ == "__main__":
    main()
