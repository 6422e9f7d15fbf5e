"""What the broker and its stand-in tell each other, over a socket pair without a name: one message at a time.

The stand-in is the installed program in a process of its own. It is tried there before the broker's own process runs
it, and it answers the engine's questions while that is under way:

=========== =========== ================================================================================================
from        message     meaning
=========== =========== ================================================================================================
old program ``Trial``   try yourself on a copy of what I know
stand-in    ``Tried``   what came of it; the end, when there was a problem
old program ``Serve``   answer the engine's questions: here is the gate, held
stand-in    ``Serving`` I do; from here on the old program can be replaced
new program ``Relieve`` stop, between two frames; the old program says it too, when it cannot be replaced
stand-in    ``Served``  what I decided, and where I stopped; the end
=========== =========== ================================================================================================

What is large, or secret, comes as a descriptor of memory without a name. The end of the channel ends the stand-in.
"""

from __future__ import annotations

import functools
import os
import socket
from typing import TypeVar

import msgspec

_LONGEST = 65_536
_MOST_DESCRIPTORS = 2
_T = TypeVar("_T")


class ChannelError(Exception):
    """The other end has ended, or said what was not expected; the message is one sentence without its full stop."""


class Trial(msgspec.Struct, tag="trial", frozen=True):
    """Comes with what the running program knows."""


class Tried(msgspec.Struct, tag="tried", frozen=True):
    """What came of a trial.

    Attributes:
        problem: why the running program has to stay, one sentence without its full stop; empty when it need not.
        version: of the installed program.
        detail: lines that explain the problem.
    """

    problem: str = ""
    version: str = ""
    detail: tuple[str, ...] = ()


class Serve(msgspec.Struct, tag="serve", frozen=True):
    """Comes with what is to be known of the gate, and with its socket."""


class Serving(msgspec.Struct, tag="serving", frozen=True):
    """The gate is answered."""


class Relieve(msgspec.Struct, tag="relieve", frozen=True):
    """The gate is to be held again."""


class Served(msgspec.Struct, tag="served", frozen=True):
    """Comes with what was decided, and where the gate was stopped."""


Message = Trial | Tried | Serve | Serving | Relieve | Served


def channel() -> tuple[socket.socket, socket.socket]:
    """Make a channel; messages arrive whole."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """Send a message; it waits for nobody, for there is never more than one on the way.

    Raises:
        ChannelError: there is nobody any more.
    """
    try:
        socket.send_fds(sock, [msgspec.json.encode(message)], list(descriptors))
    except OSError as error:
        raise ChannelError(f"the stand-in cannot be reached: {error.strerror}") from error


def receive(sock: socket.socket, kind: type[_T]) -> tuple[_T, list[int]]:
    """Wait for a message, for as long as the socket's own deadline allows.

    Returns:
        The message, and the descriptors that came with it.

    Raises:
        ChannelError: it was another one, or there is nobody any more.
        TimeoutError: none came in time.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(sock, _LONGEST, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError as error:  # It ended before it took what it was told.
        raise ChannelError("the other end of the channel is gone") from error
    problem = "the other end of the channel is gone"
    if data:
        try:
            message = _decoder().decode(data)
        except msgspec.DecodeError as error:
            problem = str(error)
        else:
            if isinstance(message, kind):
                return message, descriptors
            problem = f"an unexpected {type(message).__name__}"
    for each in descriptors:
        os.close(each)
    raise ChannelError(problem)


@functools.cache
def _decoder() -> msgspec.json.Decoder[Message]:
    """Make what reads messages, when the first one comes."""
    return msgspec.json.Decoder(Message)
