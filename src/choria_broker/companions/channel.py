"""What a broker and the process of a companion tell each other, over a socket pair without a name.

=========== ========== =================================================================================================
from        message    meaning
=========== ========== =================================================================================================
broker      ``Begin``  what to be, with everything secret that takes
process     ``Report`` once a second, and at the end: connections, and everything that was counted
process     ``Line``   a line for the broker's log
broker      ``Stop``   finish what is in hand, and end
=========== ========== =================================================================================================

Each message arrives whole. The end of the channel ends the process. Nobody waits for the other one: a report that finds
no room is followed by the next one, and lines that find none are counted.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from choria_broker.companions.reports import SideReport
from choria_broker.engine.bridge import WayIn

_LONGEST = 1024 * 1024
_ROOM = 512 * 1024
"""Bytes of the socket's buffer, of which a system may give less; a message that is longer would never arrive."""

LONGEST_REPORT = 32 * 1024
"""Bytes of the numbers in a report, about; there are several reports where workers are many."""


class Begin(msgspec.Struct, tag="begin", frozen=True, kw_only=True):
    """What to be.

    Attributes:
        version: of the broker's program.
        kind, name, identity, detail, debug: as in ``spec.Spec``.
        number, of: as in ``spec.Share``.
        way_in: into the engine, None without one.
    """

    version: str
    kind: str
    name: str
    identity: str
    detail: bytes
    debug: bool
    number: int
    of: int
    way_in: WayIn | None


class Stop(msgspec.Struct, tag="stop", frozen=True):
    """Finish.

    Attributes:
        patience: seconds for what is in hand.
    """

    patience: float


class Report(msgspec.Struct, tag="report", frozen=True):
    """How the process is.

    Attributes:
        sides: its connections, by the network they lead to.
        counts: as ``tally.Tally.told`` returns them.
        lines_dropped: lines of its log that found no room, since it began.
        lost: at its end, how many messages it still had in hand; -1 before.
    """

    sides: Mapping[str, SideReport]
    counts: Mapping[str, tuple[tuple[tuple[str, ...], float], ...]]
    lines_dropped: int = 0
    lost: int = -1


class Line(msgspec.Struct, tag="line", frozen=True):
    """A line of its log.

    Attributes:
        level: as of ``logging``.
        component: who says it.
        text: the message.
        fields: further fields, by name.
    """

    level: int
    component: str
    text: str
    fields: Mapping[str, Any] = {}


Message = Begin | Stop | Report | Line


class ChannelError(Exception):
    """What came is no message of this version of the program."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Make a channel: the broker's end, and the process's."""
    both = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in both:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    return both


class Channel:
    """One end of a channel, which does not block.

    Attributes:
        socket: the socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a socket."""
        sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
        self.socket = sock

    def send(self, message: Message) -> bool:
        """Send a message, if there is room for it and somebody at the other end; tell whether there was."""
        try:
            self.socket.send(msgspec.msgpack.encode(message, enc_hook=str))
        except OSError:
            return False
        return True

    async def receive(self) -> Message | None:
        """Wait for a message, or for the end of the channel, which is None.

        Raises:
            ChannelError: it is none of this version.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = self.socket.recv(_LONGEST)
            except (BlockingIOError, InterruptedError):
                readable = asyncio.Event()
                loop.add_reader(self.socket, readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(self.socket)
                continue
            except OSError:
                return None
            if not data:
                return None
            try:
                return _decoder().decode(data)
            except msgspec.DecodeError as error:
                raise ChannelError(str(error)) from error

    def close(self) -> None:
        """Close this end."""
        self.socket.close()


@functools.cache
def _decoder() -> msgspec.msgpack.Decoder[Message]:
    """Make what reads messages, when the first one comes."""
    return msgspec.msgpack.Decoder(Message)
