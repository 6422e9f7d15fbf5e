"""Telling systemd how the broker is doing, without waiting for it: it may stand still, and connections must not."""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import msgspec

from choria_broker.log.structured import component

PATIENCE = 5.0
"""Seconds that the manager has to take a message."""

ROOM = 64
"""Messages that may wait for the manager."""

FAREWELL = 2.0
"""Seconds for what still waits when the process ends, or another program goes on in it."""

_log = component("broker")


class _Message(msgspec.Struct, frozen=True):
    """What the manager is told.

    Attributes:
        address: the manager's socket.
        state: lines such as ``READY=1``.
        until: when it is given up, on the monotonic clock.
    """

    address: str
    state: str
    until: float

    def send(self, *, wait: bool) -> None:
        """Send it, and wait for room while there is time.

        Raises:
            BlockingIOError: there is no room, and no waiting.
            TimeoutError: there was no room in time.
            OSError: the socket could not be reached.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(max(0.0, self.until - time.monotonic()) if wait else 0.0)
            channel.connect(self.address)
            channel.sendall(self.state.encode())


class Messages:
    """Takes what the service manager is told, at once, and keeps the order.

    A message goes out in place when the manager has room for it. Else it waits, with those after it, for a thread that
    sends them one by one. What the manager does not take in time is dropped, and so is what finds no room here; the log
    has one line of that until a message gets through again.

    Args:
        patience: seconds that each message may take.
        room: messages that may wait.
    """

    def __init__(self, patience: float = PATIENCE, room: int = ROOM) -> None:
        """Nothing waits; the thread begins with the first message that has to."""
        self._patience = patience
        self._room = room
        self._changed = threading.Condition()
        self._waiting: collections.deque[_Message] = collections.deque()
        self._thread: threading.Thread | None = None
        self._failing = False

    def put(self, address: str, state: str) -> None:
        """Send a message, or have it sent; returns at once. One thread only calls this.

        Args:
            address: the manager's socket.
            state: the message.
        """
        message = _Message(address, state, time.monotonic() + self._patience)
        with self._changed:
            waiting = len(self._waiting)
            if 0 < waiting < self._room:
                self._waiting.append(message)
        if waiting >= self._room:
            self._lost(message, f"it does not read its socket, and {self._room} messages wait already")
        elif not waiting:
            try:
                message.send(wait=False)
            except BlockingIOError:
                self._later(message)
            except OSError as error:
                self._lost(message, str(error))
            else:
                self._sent()

    def settle(self, patience: float) -> None:
        """Wait until nothing waits any more, and drop what still does then; not for the event loop.

        Args:
            patience: seconds to wait.
        """
        with self._changed:
            if self._changed.wait_for(lambda: not self._waiting, patience):
                return
            first, dropped = self._waiting[0], len(self._waiting)
            while len(self._waiting) > 1:  # The first is the thread's, which may be about to send it.
                self._waiting.pop()
        self._lost(first, f"it did not read its socket before the program ended; messages dropped: {dropped}")

    def _later(self, message: _Message) -> None:
        with self._changed:
            self._waiting.append(message)
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_all, name="service manager", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                message = self._waiting[0]
            try:
                message.send(wait=True)
            except (BlockingIOError, TimeoutError):
                self._lost(message, f"it has not read its socket for {self._patience:g} s")
            except OSError as error:
                self._lost(message, str(error))
            else:
                self._sent()
            with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()

    def _sent(self) -> None:
        with self._changed:
            self._failing = False

    def _lost(self, message: _Message, why: str) -> None:
        """Say that a message is dropped, unless that was said and no message got through since."""
        with self._changed:
            known, self._failing = self._failing, True
        if not known:
            what = message.state.partition("\n")[0]
            _log.warning(f"Cannot notify the service manager of {what}: nobody reads NOTIFY_SOCKET", why=why)


_messages = Messages()


def tell(state: str) -> None:
    """Tell the service manager a state, such as ``READY=1``, if there is one; returns at once.

    Args:
        state: one or more lines.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        _messages.put(f"\0{address[1:]}" if address.startswith("@") else address, state)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Have the service manager told all, within bounds, when the context ends; for where no event loop runs then."""
    try:
        yield
    finally:
        _messages.settle(FAREWELL)
